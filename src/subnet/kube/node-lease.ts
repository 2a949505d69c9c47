import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import type { NetworkConfig } from '../config.ts';
import type { FamilyLease, Lease, LeftOutReason, PerFamily } from '../lease.ts';
import type { AnnotationKeys } from './annotations.ts';
import { MAX_ANNOTATION, type NodeView } from './node.ts';

export interface LeaseContext {
  readonly config: Pick<NetworkConfig, 'families' | 'networks'>;
  readonly keys: AnnotationKeys;
}

/** What a Node amounts to. A Node that is no peer, or not yet, has neither lease nor problems. */
export interface NodeLease {
  readonly lease: Lease | undefined;
  /** What is wrong with it, for one log line; a family with a problem is left out of the lease. */
  readonly problems: readonly string[];
  /** The first of them as a value. */
  readonly leftOut: LeftOutReason | undefined;
}

const NONE: NodeLease = { lease: undefined, problems: [], leftOut: undefined };

/** Reads a peer's lease out of its Node: pure, total, strict; nothing in the Node is trusted. */
export function nodeLease(node: NodeView, context: LeaseContext): NodeLease {
  const { keys, config } = context;
  if (node.annotations.get(keys.managed) !== 'true') return NONE;
  const backendType = node.annotations.get(keys.backendType) ?? '';
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(backendType)) {
    const problem = `${keys.backendType} ${show(backendType)} is not a backend type`;
    return { lease: undefined, problems: [problem], leftOut: 'unreadable' };
  }
  const { subnets, problems } = podSubnets(node, config);
  const badSubnets = problems.length > 0;
  const families: Partial<Record<Family, FamilyLease>> = {};
  for (const family of config.families) {
    const found = familyLease(node, { family, subnet: subnets[family], keys });
    if (typeof found === 'string') problems.push(found);
    else if (found !== undefined) families[family] = found;
  }
  const empty = families.ipv4 === undefined && families.ipv6 === undefined;
  if (empty && problems.length === 0)
    problems.push('no enabled family has both a pod subnet and a public IP');
  const leftOut = badSubnets ? 'pod_cidr' : 'unreadable';
  return {
    lease: empty ? undefined : { name: node.name, backendType, families },
    problems,
    leftOut: problems.length > 0 ? leftOut : undefined,
  };
}

interface FamilyContext {
  readonly family: Family;
  readonly subnet: Cidr | undefined;
  readonly keys: AnnotationKeys;
}

/** The lease of one family, undefined when the node has none there, or what is wrong with it. */
function familyLease(
  node: NodeView,
  { family, subnet, keys }: FamilyContext,
): FamilyLease | string | undefined {
  const text = node.annotations.get(keys.publicIp[family]);
  if (subnet === undefined || text === undefined) return undefined;
  const publicIp = parsePublicIp(text, family);
  if (publicIp === undefined)
    return `${keys.publicIp[family]} ${show(text)} is not a unicast ${family} address`;
  const backendData = node.annotations.get(keys.backendData[family]) ?? 'null';
  if (backendData.length > MAX_ANNOTATION) {
    return `${keys.backendData[family]} has ${backendData.length} characters, more than ${MAX_ANNOTATION}`;
  }
  return { subnet, publicIp, backendData };
}

/** A unicast address of `family` that packets can be sent to; undefined for anything else. */
export function parsePublicIp(text: string, family: Family): Ip | undefined {
  const ip = Ip.tryParse(text);
  if (ip === undefined || ip.family !== family) return undefined;
  const broadcast = family === 'ipv4' && ip.value === 0xffff_ffffn;
  return ip.isUnspecified() || ip.isLoopback() || ip.isMulticast() || broadcast ? undefined : ip;
}

/** The node's subnets in the enabled families, each inside the pod network, and what is wrong with the others. */
export function podSubnets(
  node: Pick<NodeView, 'podCidrs'>,
  config: Pick<NetworkConfig, 'families' | 'networks'>,
): { subnets: PerFamily<Cidr>; problems: string[] } {
  const subnets: Partial<Record<Family, Cidr>> = {};
  const problems: string[] = [];
  const seen: Family[] = [];
  if (node.podCidrs.length > 2)
    return { subnets, problems: [`spec.podCIDRs has ${node.podCidrs.length} entries, not one or two`] };
  for (const text of node.podCidrs) {
    const cidr = Cidr.tryParse(text);
    if (cidr === undefined) {
      problems.push(`spec.podCIDRs: ${show(text)} is not a CIDR`);
      continue;
    }
    const network = config.networks[cidr.family];
    // A family that is not enabled here is not our business.
    if (network === undefined) continue;
    seen.push(cidr.family);
    if (!network.contains(cidr)) problems.push(`spec.podCIDRs: ${cidr} is not inside the network ${network}`);
    else subnets[cidr.family] = cidr.network();
  }
  if (seen.length === 2 && seen[0] === seen[1]) {
    return { subnets: {}, problems: [`spec.podCIDRs has two ${seen[0]} entries`] };
  }
  return { subnets, problems };
}

function show(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}
