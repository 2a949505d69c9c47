import type { CniObject } from '../cni/conflist.ts';
import { POD_NETWORK } from '../state/address-plan.ts';

/** Device name and VNI of the original's vxlan backend, unless its configuration says otherwise. */
export const VTEP = { name: 'flannel.1', vni: 1, mtu: 1450 } as const;
const PLAIN_MTU = 1500;
const PREFIX = 'flannel.alpha.coreos.com';

export interface OriginalNode {
  /** `10.244.1.0/24`. */
  readonly podCidr: string;
  /** On the underlay. */
  readonly ip: string;
  /** Of the VXLAN device; undefined with host-gw. */
  readonly mac: string | undefined;
}

function mtuOf({ mac }: OriginalNode): number {
  return mac === undefined ? PLAIN_MTU : VTEP.mtu;
}

/** `/run/flannel/subnet.env` as the original writes it. */
export function originalSubnetEnv(node: OriginalNode): string {
  const gateway = node.podCidr.replace('.0/', '.1/');
  const lines = [`NETWORK=${POD_NETWORK}`, `SUBNET=${gateway}`, `MTU=${mtuOf(node)}`, 'IPMASQ=true'];
  return lines.map((line) => `FLANNEL_${line}\n`).join('');
}

/** The Node's annotations as the original publishes them. */
export function originalAnnotations({ ip, mac }: OriginalNode): Record<string, string> {
  return {
    [`${PREFIX}/backend-data`]: mac === undefined ? 'null' : `{"VNI":${VTEP.vni},"VtepMAC":"${mac}"}`,
    [`${PREFIX}/backend-type`]: mac === undefined ? 'host-gw' : 'vxlan',
    [`${PREFIX}/kube-subnet-manager`]: 'true',
    [`${PREFIX}/public-ip`]: ip,
  };
}

/** The original's rules for `iptables-restore`. */
export function originalIptables({ podCidr }: OriginalNode): string {
  const forward = '-m comment --comment "flanneld forward"';
  const masquerade = '-m comment --comment "flanneld masq"';
  const chain = '-A FLANNEL-POSTRTG';
  return `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:FLANNEL-FWD - [0:0]
-A FORWARD ${forward} -j FLANNEL-FWD
-A FLANNEL-FWD -s ${POD_NETWORK} ${forward} -j ACCEPT
-A FLANNEL-FWD -d ${POD_NETWORK} ${forward} -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:FLANNEL-POSTRTG - [0:0]
-A POSTROUTING ${masquerade} -j FLANNEL-POSTRTG
${chain} -m mark --mark 0x4000/0x4000 ${masquerade} -j RETURN
${chain} -s ${podCidr} -d ${POD_NETWORK} ${masquerade} -j RETURN
${chain} -s ${POD_NETWORK} -d ${podCidr} ${masquerade} -j RETURN
${chain} ! -s ${POD_NETWORK} -d ${podCidr} ${masquerade} -j RETURN
${chain} -s ${POD_NETWORK} ! -d 224.0.0.0/4 ${masquerade} -j MASQUERADE --random-fully
${chain} ! -s ${POD_NETWORK} -d ${POD_NETWORK} ${masquerade} -j MASQUERADE --random-fully
COMMIT
`;
}

/** The original's rules for `nft -f`. */
export function originalNftables({ podCidr }: OriginalNode): string {
  return `table ip flannel-ipv4 {
	comment "rules for flannel-ipv4"
	chain postrtg {
		comment "chain to manage traffic masquerading by flannel"
		type nat hook postrouting priority srcnat; policy accept;
		meta mark 0x00004000 return
		ip saddr ${podCidr} ip daddr ${POD_NETWORK} return
		ip saddr ${POD_NETWORK} ip daddr ${podCidr} return
		ip saddr != ${podCidr} ip daddr ${POD_NETWORK} return
		ip saddr ${POD_NETWORK} ip daddr != 224.0.0.0/4 masquerade fully-random
		ip saddr != ${POD_NETWORK} ip daddr ${POD_NETWORK} masquerade fully-random
	}

	chain forward {
		comment "chain to accept flannel traffic"
		type filter hook forward priority filter; policy accept;
		ip saddr ${POD_NETWORK} accept
		ip daddr ${POD_NETWORK} accept
	}
}
table ip6 flannel-ipv6 {
	comment "rules for flannel-ipv6"
}
`;
}

/**
 * What the original's CNI plugin `flannel` hands to `bridge`, and keeps for DEL under `/var/lib/cni/flannel/<container>`. That
 * plugin is in no Debian package; it does no more than this.
 */
export function originalDelegate(node: OriginalNode): CniObject & { readonly type: string } {
  return {
    cniVersion: '0.3.1',
    hairpinMode: true,
    ipMasq: false,
    ipam: { ranges: [[{ subnet: node.podCidr }]], routes: [{ dst: POD_NETWORK }], type: 'host-local' },
    isDefaultGateway: true,
    isGateway: true,
    mtu: mtuOf(node),
    name: 'cbr0',
    type: 'bridge',
  };
}
