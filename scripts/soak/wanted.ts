import type { KubeObject } from '#lab/api/object.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { POD_NETWORKS, PREFIX, ROUTER } from './addresses.ts';
import type { SoakNode } from './node.ts';

const OVERHEAD: Readonly<Record<Family, number>> = { ipv4: 50, ipv6: 70 };

export const VTEP: Readonly<Record<Family, string>> = { ipv4: 'flannel.1', ipv6: 'flannel-v6.1' };
const DATA: Readonly<Record<Family, string>> = { ipv4: 'backend-data', ipv6: 'backend-v6-data' };
const PUBLIC: Readonly<Record<Family, string>> = { ipv4: 'public-ip', ipv6: 'public-ipv6' };

/**
 * What the kernel and the files of a node have to hold, one line per object, by what the API's Nodes say. Written down once
 * more, independently of the agent's own plan. Lines beginning with `?` are a peer's or our own Node that says too little.
 */
export function wantedLines(node: SoakNode, nodes: readonly KubeObject[]): string[] {
  const own = nodes.find(({ metadata }) => metadata.name === node.name);
  if (own === undefined) return [`? the Node ${node.name}`];
  return [
    ...node.families.flatMap((family) => ownLines(node, own, family)),
    ...nodes.filter((peer) => peer !== own).flatMap((peer) => peerLines(peer, node.families)),
    ...node.families.map((family) => `route default via ${ROUTER[family]} dev eth0`),
    ...subnetEnvLines(node),
    ...podLines(node),
    `condition NetworkUnavailable=False`,
  ];
}

function ownLines(node: SoakNode, own: KubeObject, family: Family): string[] {
  const subnet = Cidr.parse(node.podCidr(family));
  const address = node.address(family);
  const mac = vtepMacOf(own, family);
  const bits = family === 'ipv4' ? 32 : 128;
  const missing = mac === undefined || annotation(own, PUBLIC[family]) !== address;
  return [
    ...(missing || annotation(own, 'kube-subnet-manager') !== 'true'
      ? [`? the ${family} annotations of ${node.name} with ${address}`]
      : []),
    `link ${VTEP[family]} ${mac} mtu ${node.mtu - OVERHEAD[family]} up vxlan id 1 local ${address} dev eth0 dstport 8472 nolearning`,
    `address ${subnet.first()}/${bits} dev ${VTEP[family]}`,
    `address ${node.onUnderlay(family)} dev eth0`,
    ...(node.pods.length > 0 ? [`address ${subnet.first().add(1)}/${subnet.length} dev cni0`] : []),
  ];
}

function peerLines(peer: KubeObject, families: readonly Family[]): string[] {
  return families.flatMap((family) => {
    const text = podCidrs(peer).find((cidr) => cidr.includes(':') === (family === 'ipv6'));
    const [mac, publicIp] = [vtepMacOf(peer, family), annotation(peer, PUBLIC[family])];
    if (text === undefined || mac === undefined || publicIp === undefined)
      return [`? the ${family} annotations of ${peer.metadata.name}`];
    const gateway = Cidr.parse(text).first();
    return [
      `neighbour ${gateway} lladdr ${mac} dev ${VTEP[family]}`,
      `fdb ${mac} dst ${publicIp} dev ${VTEP[family]}`,
      `route ${text} via ${gateway} dev ${VTEP[family]} onlink`,
    ];
  });
}

function subnetEnvLines(node: SoakNode): string[] {
  const keys = { ipv4: 'FLANNEL', ipv6: 'FLANNEL_IPV6' } as const;
  const smallest = node.families.includes('ipv4') ? 'ipv4' : 'ipv6';
  const lines = node.families.flatMap((family) => {
    const subnet = Cidr.parse(node.podCidr(family));
    return [
      `${keys[family]}_NETWORK=${POD_NETWORKS[family]}`,
      `${keys[family]}_SUBNET=${subnet.first().add(1)}/${subnet.length}`,
    ];
  });
  const all = [...lines, `FLANNEL_MTU=${node.mtu - OVERHEAD[smallest]}`, 'FLANNEL_IPMASQ=true'];
  return all.map((line) => `subnet.env ${line}`);
}

function podLines(node: SoakNode): string[] {
  return [
    `${node.pods.length} ports of cni0`,
    ...node.pods.map(({ containerId }) => `saved configuration ${containerId}`),
    ...node.pods.flatMap(({ addresses }) => Object.values(addresses)).map((ip) => `reservation ${ip}`),
  ];
}

/** The MAC in `backend-data`, undefined when the annotation does not say one. */
function vtepMacOf(node: KubeObject, family: Family): string | undefined {
  try {
    const data = JSON.parse(annotation(node, DATA[family]) ?? 'null') as { VtepMAC?: unknown } | null;
    return typeof data?.VtepMAC === 'string' ? data.VtepMAC : undefined;
  } catch {
    return undefined;
  }
}

function annotation(node: KubeObject, key: string): string | undefined {
  return node.metadata.annotations?.[`${PREFIX}/${key}`];
}

function podCidrs(node: KubeObject): string[] {
  const list = node.spec?.['podCIDRs'];
  return Array.isArray(list) ? list.filter((cidr) => typeof cidr === 'string') : [];
}
