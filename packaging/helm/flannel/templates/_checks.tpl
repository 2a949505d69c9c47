{{/* What would only be noticed on the nodes, refused while it can be put right at leisure. */}}
{{- define "flannel.check" -}}
{{- if .Values.netpol.enabled -}}
{{- fail "netpol.enabled: this chart installs no network policy controller; leave it false and install one of your own, such as kube-network-policies" -}}
{{- end -}}
{{- if not (or .Values.podCidr .Values.podCidrv6) -}}
{{- fail "podCidr and podCidrv6 are both empty: set at least one, to the --cluster-cidr of the controller-manager" -}}
{{- end -}}
{{- $repository := .Values.flannel.image.repository -}}
{{- if regexMatch "(^|/)(flannel-io/flannel|flannelcni/flannel|coreos/flannel|rancher/mirrored-flannel-io-flannel|rancher/mirrored-flannelcni-flannel)$" $repository -}}
{{- fail (printf "flannel.image.repository: %s is the original's image, which lacks what this chart starts; name your copy of this project's image" $repository) -}}
{{- end -}}
{{- $backend := .Values.flannel.backend -}}
{{- if has $backend (list "wireguard" "ipip" "udp" "ipsec" "tencent-vpc") -}}
{{- fail (printf "flannel.backend: %s is not built into %s; take vxlan, host-gw, alloc or extension" $backend .Chart.AppVersion) -}}
{{- end -}}
{{- $health := .Values.flannel.healthz -}}
{{- if .Values.monitoring.podMonitor.enabled -}}
{{- if not $health.port -}}
{{- fail "flannel.healthz.port: 0 leaves nothing to scrape; monitoring.podMonitor needs it, 8471 for instance" -}}
{{- end -}}
{{- if or (hasPrefix "127." $health.ip) (eq $health.ip "::1") -}}
{{- fail (printf "flannel.healthz.ip: Prometheus cannot reach %s of each node; set 0.0.0.0 for monitoring.podMonitor" $health.ip) -}}
{{- end -}}
{{- end -}}
{{- end -}}
