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

{{/* Labels and annotations as YAML. `from`: maps with `labels` and `annotations`; the first of them that has a name wins, then those for
everything, then `ours`. */}}
{{- define "flannel.merged" -}}
{{- $labels := dict -}}
{{- $annotations := dict -}}
{{- range .from -}}
{{- $labels = merge $labels (dig "labels" dict (. | default dict) | default dict) -}}
{{- $annotations = merge $annotations (dig "annotations" dict (. | default dict) | default dict) -}}
{{- end -}}
{{- $global := .root.Values.global | default dict -}}
{{- $labels = merge $labels (dig "commonLabels" dict $global | default dict) (.ours | fromYaml) -}}
{{- $annotations = merge $annotations (dig "commonAnnotations" dict $global | default dict) -}}
{{- dict "labels" $labels "annotations" $annotations | toYaml -}}
{{- end -}}

{{/* Of an object, as lines of its `metadata`. */}}
{{- define "flannel.metadata" -}}
{{- $all := include "flannel.merged" (dict "root" .root "from" .from "ours" (include "flannel.labels" .root)) | fromYaml -}}
labels:
  {{- toYaml $all.labels | nindent 2 }}
{{- with $all.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Of the pods. What the selector asks for cannot be another. */}}
{{- define "flannel.podMetadata" -}}
{{- $own := dict "labels" .Values.flannel.podLabels "annotations" .Values.flannel.podAnnotations -}}
{{- $all := include "flannel.merged" (dict "root" . "from" (list $own) "ours" (include "flannel.podLabels" .)) | fromYaml -}}
labels:
  {{- merge (include "flannel.selectorLabels" . | fromYaml) $all.labels | toYaml | nindent 2 }}
annotations:
  # Another configuration restarts the agents.
  checksum/config: {{ printf "%s\n%s" (include "flannel.netConf" .) .Values.flannel.cniConf | sha256sum }}
  {{- with omit $all.annotations "checksum/config" }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
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
