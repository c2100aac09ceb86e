{{/*
What values.schema.json cannot say: what has to be set, and what goes together. All
that is wrong is told at once.
*/}}
{{- define "miniprogram.validate" -}}
{{- $wrong := list -}}
{{- if ne .Release.Namespace "miniprogram-system" -}}
{{- $wrong = append $wrong (printf "the release is for namespace %s, but rights, developer groups and policies name miniprogram-system, and a cluster has one installation: use --namespace miniprogram-system" .Release.Namespace) -}}
{{- end -}}
{{- if not .Values.registry.host -}}
{{- $wrong = append $wrong "registry.host is not set: name the registry that artifacts are pushed to, such as --set registry.host=registry.example.com" -}}
{{- end -}}
{{- if not .Values.publicURL -}}
{{- $wrong = append $wrong "publicURL is not set: say at which URL host apps reach the manifest service, such as --set publicURL=https://miniprograms.example.com" -}}
{{- end -}}
{{- if and .Values.runURL (eq (urlParse .Values.runURL).hostname (urlParse .Values.publicURL).hostname) -}}
{{- $wrong = append $wrong "runURL has the host name of publicURL: single files need a host name on which there is nothing else, or what runs there reads the cookies of the other" -}}
{{- end -}}
{{- if and .Values.registry.plainHTTP .Values.registry.caConfigMap -}}
{{- $wrong = append $wrong "registry.caConfigMap is set, but registry.plainHTTP leaves nothing to check a certificate of: unset one" -}}
{{- end -}}
{{- if and (not .Values.manager.leaderElection) (gt (int .Values.manager.replicas) 1) -}}
{{- $wrong = append $wrong "manager.replicas is more than 1 without manager.leaderElection: two managers would decide at a time; turn it on" -}}
{{- end -}}
{{- with .Values.manifestService.autoscaler -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- $wrong = append $wrong (printf "manifestService.autoscaler.minReplicas (%d) is more than maxReplicas (%d)" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) -}}
{{- $wrong = append $wrong "gateway.parentRefs is empty: name the Gateway that the HTTPRoute belongs to, such as [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- if and (not .Values.guardrails.prometheusURL) (or .Values.guardrails.prometheusTokenSecret .Values.guardrails.prometheusCAConfigMap) -}}
{{- $wrong = append $wrong "guardrails.prometheusTokenSecret and guardrails.prometheusCAConfigMap need guardrails.prometheusURL" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end }}
