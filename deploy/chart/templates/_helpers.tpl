{{/* What everything is named after: the release. */}}
{{- define "operator.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the service account to use, or let serviceAccount.create be true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: dpumesh-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.podLabels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: mubench-dpu
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "operator.monitoringLabels" -}}
{{ include "operator.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The settings file. */}}
{{- define "operator.config" -}}
{{- merge (dict "lease-name" (include "operator.fullname" .)) .Values.config | toYaml -}}
{{- end -}}

{{/* The rules of the role of this kind in files/rbac.yaml, which the kustomize base uses as well. */}}
{{- define "operator.rules" -}}
{{- range splitList "\n---\n" (.root.Files.Get "files/rbac.yaml") -}}
{{- $document := fromYaml . -}}
{{- if eq $document.kind $.kind -}}
{{- toYaml $document.rules -}}
{{- end -}}
{{- end -}}
{{- end -}}
