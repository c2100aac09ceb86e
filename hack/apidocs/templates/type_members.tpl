{{- define "type_members" -}}
{{ regexReplaceAll "<([a-z]+)>" (markdownRenderFieldDoc .Doc | replace "<br />" " " | replace "*" "\\*") "&lt;$1&gt;" }}
{{- end -}}
