{{/* net-conf.json. Numbers of values are floating point: int keeps large ones from being written with an exponent. */}}
{{- define "flannel.netConf" -}}
{{- $values := .Values.flannel -}}
{{- $type := $values.backend -}}
{{- $backend := dict "Type" $type -}}
{{- if has $type (list "vxlan" "udp") -}}
{{- if $values.backendPort -}}{{- $_ := set $backend "Port" (int $values.backendPort) -}}{{- end -}}
{{- end -}}
{{- if has $type (list "vxlan" "wireguard") -}}
{{- if $values.mtu -}}{{- $_ := set $backend "MTU" (int $values.mtu) -}}{{- end -}}
{{- end -}}
{{- if eq $type "vxlan" -}}
{{- if $values.vni -}}{{- $_ := set $backend "VNI" (int $values.vni) -}}{{- end -}}
{{- if $values.GBP -}}{{- $_ := set $backend "GBP" true -}}{{- end -}}
{{- end -}}
{{- if has $type (list "vxlan" "ipip") -}}
{{- if $values.directRouting -}}{{- $_ := set $backend "DirectRouting" true -}}{{- end -}}
{{- end -}}
{{- if eq $type "wireguard" -}}
{{- if $values.backendPort -}}{{- $_ := set $backend "ListenPort" (int $values.backendPort) -}}{{- end -}}
{{- if $values.backendPortv6 -}}{{- $_ := set $backend "ListenPortV6" (int $values.backendPortv6) -}}{{- end -}}
{{- if $values.tunnelMode -}}{{- $_ := set $backend "Mode" $values.tunnelMode -}}{{- end -}}
{{- if $values.keepaliveInterval -}}{{- $_ := set $backend "PersistentKeepaliveInterval" (int $values.keepaliveInterval) -}}{{- end -}}
{{- end -}}
{{- if has $type (list "wireguard" "ipsec") -}}
{{- if $values.psk -}}{{- $_ := set $backend "PSK" $values.psk -}}{{- end -}}
{{- end -}}
{{- $backend = merge (deepCopy $values.backendOptions) $backend -}}
{{- $conf := dict "EnableNFTables" $values.enableNFTables "Backend" $backend -}}
{{- if .Values.podCidr -}}
{{- $_ := set $conf "Network" .Values.podCidr -}}
{{- else -}}
{{- $_ := set $conf "EnableIPv4" false -}}
{{- end -}}
{{- if .Values.podCidrv6 -}}
{{- $_ := set $conf "IPv6Network" .Values.podCidrv6 -}}
{{- $_ := set $conf "EnableIPv6" true -}}
{{- end -}}
{{- toPrettyJson $conf -}}
{{- end -}}
