{{- define "gvDetails" -}}
{{- $gv := . -}}
# The API: {{ $gv.GroupVersionString }}

Written by `make generate` from the Go types: the same texts as in `kubectl explain`.
{{- /* The kinds with their specs and statuses, then what these are made of. */}}
{{- $shown := list }}
{{ range $gv.SortedKinds }}
- [{{ . }}](#{{ lower . }}): [spec](#{{ lower . }}spec), [status](#{{ lower . }}status)
{{- end }}

Every kind is used as `apiVersion: {{ $gv.GroupVersionString }}` and has `metadata`. A field is optional where it is not
called required; what it means when it is unset stands with it. A spec's field may change where it does not say otherwise.

{{ range $kind := $gv.SortedKinds }}
{{- range $type := $gv.SortedTypes }}
{{- if eq $type.Name $kind }}
## {{ $type.Name }}

{{ $type.Doc }}
{{ range $part := list "Spec" "Status" }}
{{- range $gv.SortedTypes }}
{{- if eq .Name (printf "%s%s" $kind $part) }}
{{ template "type" . }}
{{- $shown = append $shown .Name }}
{{- end }}
{{- end }}
{{- end }}
{{- $shown = append $shown .Name }}
{{- end }}
{{- end }}
{{- end }}
## What they are made of
{{ range $gv.SortedTypes }}
{{- if and (not (has .Name $shown)) (markdownShouldRenderType .) }}
{{ template "type" . }}
{{- end }}
{{- end }}
{{- end -}}
