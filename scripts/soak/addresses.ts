import {
  GATEWAY,
  planNode,
  POD_NETWORK,
  UNDERLAY,
  WORLD_IP,
  type NodePlan,
} from '#lab/state/address-plan.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';

/** Addresses of both families; those of IPv4 are the lab's. */
export const ROUTER: Readonly<Record<Family, string>> = { ipv4: GATEWAY, ipv6: 'fd50::1' };
export const UNDERLAY_NETWORK: Readonly<Record<Family, string>> = { ipv4: UNDERLAY, ipv6: 'fd50::/64' };
export const POD_NETWORKS: Readonly<Record<Family, string>> = { ipv4: POD_NETWORK, ipv6: 'fd44::/48' };
export const WORLD: Readonly<Record<Family, string>> = { ipv4: WORLD_IP, ipv6: '2001:db8:51::10' };
/** The world's network behind the router (RFC 3849). */
export const WORLD_ROUTER_6 = '2001:db8:51::1';
export const WORLD_NETWORK_6 = '2001:db8:51::/64';

/** Annotations of an agent have this prefix. */
export const PREFIX = 'flannel.alpha.coreos.com';

/** How many pod networks of its own a node can be given one after another. */
export const RANGES = 4;
/** First number of the nodes that exist on paper only. */
const PAPER = 210;
const ROGUE = 180;

export function soakNodePlan(index: number): NodePlan {
  return planNode(index, 1);
}

/** Address of node `index` on the underlay; `other` is the one that it changes to for a while. */
export function nodeAddress(family: Family, index: number, other: boolean): string {
  const host = index + (other ? 100 : 10);
  return Cidr.parse(UNDERLAY_NETWORK[family]).first().add(host).toString();
}

/** The pod network number `range` (0 to RANGES - 1) of node `index`. */
export function podRange(family: Family, index: number, range: number): string {
  return nthSubnet(family, index + range * 50);
}

function nthSubnet(family: Family, nth: number): string {
  if (family === 'ipv4') return `10.244.${nth}.0/24`;
  return Cidr.parse(`fd44:0:0:${nth.toString(16)}::/64`).toString();
}

/** A pod subnet that no node has, for the Node that claims the address of node `index`. */
export function rogueSubnet(family: Family, index: number): string {
  return nthSubnet(family, ROGUE + index);
}

/** An address on the nodes' link where nobody answers. */
export function rogueAddress(index: number): Readonly<Record<Family, string>> {
  return nobodyAt(200 + index);
}

/** What a node on paper publishes. */
export interface PaperNode {
  readonly name: string;
  readonly podCidrs: readonly string[];
  readonly addresses: Readonly<Record<Family, string>>;
}

export function paperNode(families: readonly Family[], index: number): PaperNode {
  return {
    name: `paper-${index}`,
    podCidrs: families.map((family) => nthSubnet(family, PAPER + index)),
    addresses: { ipv4: `172.20.0.${index + 1}`, ipv6: `fd51::${(index + 1).toString(16)}` },
  };
}

/** Another address of a node on paper: one on the link of the others, where nobody answers. */
export function paperOnLink(index: number): Readonly<Record<Family, string>> {
  return nobodyAt(150 + index);
}

function nobodyAt(host: number): Readonly<Record<Family, string>> {
  const at = (family: Family) => Cidr.parse(UNDERLAY_NETWORK[family]).first().add(host).toString();
  return { ipv4: at('ipv4'), ipv6: at('ipv6') };
}
