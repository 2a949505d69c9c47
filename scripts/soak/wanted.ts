import type { KubeObject } from '#lab/api/object.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { POD_NETWORKS, ROUTER } from './addresses.ts';
import { BACKEND_FACTS } from './backends.ts';
import type { SoakNode } from './node.ts';
import { annotation, publicIpOf, vtepMacOf } from './node-text.ts';
import { peerLines, VTEP } from './wanted-peers.ts';

const OVERHEAD: Readonly<Record<Family, number>> = { ipv4: 50, ipv6: 70 };

/**
 * What the kernel and the files of a node have to hold, one line per object, by what the API's Nodes say. Written down once
 * more, independently of the agent's own plan. Lines beginning with `?` are a peer's or our own Node that says too little.
 */
export function wantedLines(node: SoakNode, nodes: readonly KubeObject[]): string[] {
  const own = nodes.find(({ metadata }) => metadata.name === node.name);
  if (own === undefined) return [`? the Node ${node.name}`];
  const peers = nodes.filter((peer) => peer !== own);
  return [
    ...node.families.flatMap((family) => ownLines(node, own, family)),
    ...peerLines(node, peers),
    ...node.families.map((family) => `route default via ${ROUTER[family]} dev eth0`),
    ...subnetEnvLines(node),
    ...podLines(node),
    `condition NetworkUnavailable=False`,
  ];
}

function ownLines(node: SoakNode, own: KubeObject, family: Family): string[] {
  const subnet = Cidr.parse(node.podCidr(family));
  const { type, tunnel } = BACKEND_FACTS[node.backend];
  const published =
    publicIpOf(own, family) === node.address(family) &&
    annotation(own, 'backend-type') === type &&
    annotation(own, 'kube-subnet-manager') === 'true' &&
    (!tunnel || vtepMacOf(own, family) !== undefined);
  return [
    ...(published ? [] : [`? the ${family} annotations of ${node.name} with ${node.address(family)}`]),
    ...(tunnel ? deviceLines(node, own, family) : []),
    `address ${node.onUnderlay(family)} dev eth0`,
    ...(node.pods.length > 0 ? [`address ${subnet.first().add(1)}/${subnet.length} dev cni0`] : []),
  ];
}

function deviceLines(node: SoakNode, own: KubeObject, family: Family): string[] {
  const mac = vtepMacOf(own, family);
  const bits = family === 'ipv4' ? 32 : 128;
  const mtu = node.mtu - OVERHEAD[family];
  return [
    `link ${VTEP[family]} ${mac} mtu ${mtu} up vxlan id 1 local ${node.address(family)} dev eth0 dstport 8472 nolearning`,
    `address ${Cidr.parse(node.podCidr(family)).first()}/${bits} dev ${VTEP[family]}`,
  ];
}

function subnetEnvLines(node: SoakNode): string[] {
  const keys = { ipv4: 'FLANNEL', ipv6: 'FLANNEL_IPV6' } as const;
  const smallest = node.families.includes('ipv4') ? 'ipv4' : 'ipv6';
  const overhead = BACKEND_FACTS[node.backend].tunnel ? OVERHEAD[smallest] : 0;
  const lines = node.families.flatMap((family) => {
    const subnet = Cidr.parse(node.podCidr(family));
    return [
      `${keys[family]}_NETWORK=${POD_NETWORKS[family]}`,
      `${keys[family]}_SUBNET=${subnet.first().add(1)}/${subnet.length}`,
    ];
  });
  const all = [...lines, `FLANNEL_MTU=${node.mtu - overhead}`, 'FLANNEL_IPMASQ=true'];
  return all.map((line) => `subnet.env ${line}`);
}

function podLines(node: SoakNode): string[] {
  return [
    `${node.pods.length} ports of cni0`,
    ...node.pods.map(({ containerId }) => `saved configuration ${containerId}`),
    ...node.pods.flatMap(({ addresses }) => Object.values(addresses)).map((ip) => `reservation ${ip}`),
  ];
}
