{{- define "type" -}}
{{- $type := . -}}
### {{ $type.Name }}

{{ $type.Doc }}
{{- if $type.IsAlias }} It is a {{ markdownRenderTypeLink $type.UnderlyingType }}: {{ template "values" (dict "validation" $type.Validation "default" "") }}.
{{- end }}
{{ with $type.References }}
In {{ range $i, $ref := $type.SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $ref }}{{ end }}.
{{ end }}
{{- if $type.Members }}
| field | meaning | values |
|---|---|---|
{{- range $type.Members }}
| `{{ .Name }}` {{ template "fieldType" . }} | {{ template "type_members" . }} | {{ template "values" (dict "validation" .Validation "default" .Default) }} |
{{- end }}
{{ end }}
{{- end -}}
{{- define "fieldType" -}}
_{{ markdownRenderType .Type | replace " array" " list" }}_
{{- if has "Required: {}" .Validation }} **required**{{ end }}
{{- end -}}
