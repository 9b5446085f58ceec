{{- define "davgate.name" -}}
{{ .Release.Name | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- define "davgate.labels" -}}
app.kubernetes.io/name: davgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "davgate.secret" -}}
{{ .Values.secrets.existingSecret | default (include "davgate.name" .) }}
{{- end }}
