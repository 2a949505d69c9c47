import type { KubeObject } from '#lab/api/object.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { UNDERLAY_NETWORK } from './addresses.ts';
import { BACKEND_FACTS, MAYBE_ENCRYPTED } from './backends.ts';
import type { SoakNode } from './node.ts';
import { annotation, podCidrOf, publicIpOf, vtepMacOf } from './node-text.ts';

export const VTEP: Readonly<Record<Family, string>> = { ipv4: 'flannel.1', ipv6: 'flannel-v6.1' };

/** A line, and what only one peer can have of it. */
interface Claim {
  readonly key: string;
  readonly line: string;
}

/** What the kernel of a node has to hold for its peers. Of two that claim one thing the first by name has it. */
export function peerLines(node: SoakNode, peers: readonly KubeObject[]): string[] {
  const claims = new Map<string, string>();
  const others: string[] = [];
  const byName = peers.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const peer of byName) {
    for (const family of node.families) {
      const lines = linesOf(node, peer, family);
      if (typeof lines === 'string') others.push(lines);
      else for (const { key, line } of lines) if (!claims.has(key)) claims.set(key, line);
    }
  }
  return [...claims.values(), ...others];
}

/** Its claims, or a line that stands beside everything. */
function linesOf(node: SoakNode, peer: KubeObject, family: Family): string | readonly Claim[] {
  const { name } = peer.metadata;
  const backend = BACKEND_FACTS[node.backend];
  const type = annotation(peer, 'backend-type');
  const [text, publicIp] = [podCidrOf(peer, family), publicIpOf(peer, family)];
  if (text === undefined || publicIp === undefined || type === undefined)
    return `? the ${family} annotations of ${name}`;
  const subnet = Cidr.parse(text);
  // Its packets would go where this node's own belong.
  if (text === node.podCidr(family)) return [];
  if (type !== backend.type) return MAYBE_ENCRYPTED.has(type) ? `route blackhole ${subnet}` : [];
  if (publicIp === node.address(family)) return [];
  const ip = Ip.tryParse(publicIp);
  if (ip === undefined) return `? the ${family} address of ${name}`;
  if (backend.direct && Cidr.parse(UNDERLAY_NETWORK[family]).contains(ip))
    return [{ key: `route ${text}`, line: `route ${text} via ${publicIp} dev eth0` }];
  return backend.tunnel ? tunnelClaims(peer, { family, subnet, publicIp }) : [];
}

interface Side {
  readonly family: Family;
  readonly subnet: Cidr;
  readonly publicIp: string;
}

function tunnelClaims(peer: KubeObject, { family, subnet, publicIp }: Side): string | readonly Claim[] {
  const mac = vtepMacOf(peer, family);
  if (mac === undefined) return `? the ${family} annotations of ${peer.metadata.name}`;
  const device = VTEP[family];
  const gateway = subnet.first();
  return [
    { key: `neighbour ${gateway}`, line: `neighbour ${gateway} lladdr ${mac} dev ${device}` },
    { key: `fdb ${mac} ${device}`, line: `fdb ${mac} dst ${publicIp} dev ${device}` },
    { key: `route ${subnet}`, line: `route ${subnet} via ${gateway} dev ${device} onlink` },
  ];
}
