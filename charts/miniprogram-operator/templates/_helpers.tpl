{{/*
What is installed is what config/ says: files/ has it as kustomize builds it, and
these templates read an object, put the values in and write it. So nothing is
written twice, and what is new in config/ is in the chart, too.
*/}}

{{/* The image of both programs. */}}
{{- define "miniprogram.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Sets the flags of a container, a list of (name, value): one that is there is
replaced where it stands, another is added at the end. Nothing, an empty string, an empty list and
false set none; true sets a flag without a value.
*/}}
{{- define "miniprogram.flags" -}}
{{- $container := .container -}}
{{- range .flags -}}
{{- $flag := printf "--%s" (index . 0) -}}
{{- $value := index . 1 -}}
{{- $set := "" -}}
{{- if kindIs "bool" $value -}}
{{- if $value }}{{ $set = $flag }}{{ end -}}
{{- else if kindIs "slice" $value -}}
{{- if $value }}{{ $set = printf "%s=%s" $flag (join "," $value) }}{{ end -}}
{{- else if kindIs "float64" $value -}}
{{- /* Numbers of a values file; a plain %v writes large ones with an exponent. */ -}}
{{- $set = printf "%s=%.0f" $flag $value -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- if ne (toString $value) "" }}{{ $set = printf "%s=%s" $flag (toString $value) }}{{ end -}}
{{- end -}}
{{- if $set -}}
{{- $args := list -}}
{{- $found := false -}}
{{- range $container.args -}}
{{- if hasPrefix (printf "%s=" $flag) . -}}
{{- $args = append $args $set -}}
{{- $found = true -}}
{{- else -}}
{{- $args = append $args . -}}
{{- end -}}
{{- end -}}
{{- if not $found }}{{ $args = append $args $set }}{{ end -}}
{{- $_ := set $container "args" $args -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Mounts a Secret or a ConfigMap, where one is named, as a folder below /etc/miniprogram. */}}
{{- define "miniprogram.mount" -}}
{{- if or .secret .configMap -}}
{{- $container := index .pod.containers 0 -}}
{{- $source := dict "configMap" (dict "name" .configMap) -}}
{{- if .secret }}{{ $source = dict "secret" (dict "secretName" .secret) }}{{ end -}}
{{- $_ := set .pod "volumes" (append .pod.volumes (merge (dict "name" .name) $source)) -}}
{{- $mount := dict "name" .name "mountPath" (printf "/etc/miniprogram/%s" .folder) "readOnly" true -}}
{{- $_ := set $container "volumeMounts" (append $container.volumeMounts $mount) -}}
{{- end -}}
{{- end }}

{{/* Puts into a Deployment what both programs have in common. */}}
{{- define "miniprogram.deployment" -}}
{{- $values := .values -}}
{{- $template := .deployment.spec.template -}}
{{- $pod := $template.spec -}}
{{- $container := index $pod.containers 0 -}}
{{- $_ := set $container "image" (include "miniprogram.image" .root) -}}
{{- with .root.Values.image.pullPolicy }}{{ $_ := set $container "imagePullPolicy" . }}{{ end -}}
{{- $secrets := list -}}
{{- range .root.Values.image.pullSecrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- with $secrets }}{{ $_ := set $pod "imagePullSecrets" . }}{{ end -}}
{{- with $values.resources }}{{ $_ := set $container "resources" . }}{{ end -}}
{{- with $values.extraArgs }}{{ $_ := set $container "args" (concat $container.args .) }}{{ end -}}
{{- with $values.env }}{{ $_ := set $container "env" (concat $container.env .) }}{{ end -}}
{{- range $name := list "priorityClassName" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" -}}
{{- with index $values $name }}{{ $_ := set $pod $name . }}{{ end -}}
{{- end -}}
{{- /* The settings are read when a process starts, so pods have to go with them. */ -}}
{{- $settings := include "miniprogram.settings" .root | sha256sum -}}
{{- $annotations := merge (dict "checksum/settings" $settings) $values.podAnnotations -}}
{{- $_ := set $template.metadata "annotations" $annotations -}}
{{- with $values.podLabels }}{{ $_ := set $template.metadata "labels" (merge $template.metadata.labels .) }}{{ end -}}
{{- end }}

{{/* The ConfigMap that both programs take their settings from. */}}
{{- define "miniprogram.settings" -}}
{{- $settings := .Files.Get "files/settings.yaml" | fromYaml -}}
{{- $_ := set $settings.data "registry" .Values.registry.host -}}
{{- $_ := set $settings.data "registryPrefix" .Values.registry.prefix -}}
{{- $_ := set $settings.data "manifestURL" .Values.publicURL -}}
{{- $_ := set $settings.data "runURL" .Values.runURL -}}
{{- toYaml $settings -}}
{{- end }}

{{/* The port of a URL, or of a host with or without a port. */}}
{{- define "miniprogram.port" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "80" "443" (eq $url.scheme "http")) -}}
{{- end }}
