{{- /* What a field may hold, in words: what its markers say, without their names. */ -}}
{{- define "values" -}}
{{- $v := dict }}
{{- range .validation }}{{ $v = set $v (first (splitList ": " .)) (join ": " (rest (splitList ": " .))) }}{{ end }}
{{- $parts := list }}
{{- with get $v "Enum" }}{{ $parts = append $parts (. | trimPrefix "[" | trimSuffix "]" | replace " " ", ") }}{{ end }}
{{- with get $v "MaxItems" }}{{ $parts = append $parts (printf "%s to %s entries" (get $v "MinItems") . | replace "0 to " "at most ") }}{{ end }}
{{- with get $v "items:Enum" }}{{ $parts = append $parts (printf "each %s" (. | trimPrefix "[" | trimSuffix "]" | replace " " ", ")) }}{{ end }}
{{- with get $v "items:MaxLength" }}{{ $parts = append $parts (printf "each of %s to %s characters" (get $v "items:MinLength") .) }}{{ end }}
{{- with get $v "MaxLength" }}{{ $parts = append $parts (printf "%s to %s characters" (get $v "MinLength" | default "1") .) }}{{ end }}
{{- with get $v "Maximum" }}{{ $parts = append $parts (printf "%.0f to %.0f" (float64 (get $v "Minimum")) (float64 .)) }}{{ end }}
{{- with get $v "Pattern" }}{{ if le (len .) 60 }}{{ $parts = append $parts (. | replace "|" "\\|") }}{{ end }}{{ end }}
{{- with .default }}{{ $parts = append $parts (printf "default %s" (. | replace "{" "\\{" | replace "}" "\\}")) }}{{ end }}
{{- join "; " $parts }}
{{- end -}}
