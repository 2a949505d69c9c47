{{- define "flannel.image" -}}
{{ .Values.flannel.image.repository }}:{{ .Values.flannel.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Labels of the pods; what tools of the original look for comes first. */}}
{{- define "flannel.podLabels" -}}
app: flannel
k8s-app: flannel
tier: node
app.kubernetes.io/name: flannel
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of everything. */}}
{{- define "flannel.labels" -}}
{{ include "flannel.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The selector of the DaemonSet that is there, else that of the values. */}}
{{- define "flannel.selectorLabels" -}}
{{- $there := lookup "apps/v1" "DaemonSet" .Release.Namespace "kube-flannel-ds" -}}
{{- dig "spec" "selector" "matchLabels" .Values.flannel.selectorLabels ($there | default dict) | toYaml -}}
{{- end -}}

{{/* Limits default to requests: then the pod is among the last to go when the node is short of memory. */}}
{{- define "flannel.resources" -}}
{{- $requests := .Values.flannel.resources.requests | default dict -}}
{{- $limits := merge (deepCopy (.Values.flannel.resources.limits | default dict)) $requests -}}
{{- range $name, $limit := .Values.flannel.resources.limits | default dict -}}
{{- if not $limit -}}{{- $limits = omit $limits $name -}}{{- end -}}
{{- end -}}
{{- dict "requests" $requests "limits" $limits | toYaml -}}
{{- end -}}
