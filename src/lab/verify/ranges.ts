import { readFileSync } from 'node:fs';
import { Cidr } from '#net/cidr.ts';
import { SERVICE_NETWORK, UNDERLAY, WORLD_NETWORK } from '../state/address-plan.ts';
import type { LabState } from '../state/state.ts';
import type { Verdict } from './judge.ts';

const TITLE = 'ranges do not overlap';

export interface NodeRange {
  readonly node: string;
  /** The node's `subnet.env`. */
  readonly subnetEnv: string;
}

/** What each node's agent wrote, as its CNI plugin reads it. */
export function readRanges(state: LabState): NodeRange[] {
  return state.nodes.map(({ name, pid }) => {
    try {
      return { node: name, subnetEnv: readFileSync(`/proc/${pid}/root/run/flannel/subnet.env`, 'utf8') };
    } catch {
      return { node: name, subnetEnv: '' };
    }
  });
}

/** Pod network, services, underlay and world are disjoint; the nodes' ranges lie in the pod network and apart. */
export function judgeRanges(ranges: readonly NodeRange[]): Verdict {
  const failures: string[] = [];
  const networks = new Set<string>();
  const subnets: { readonly node: string; readonly cidr: Cidr }[] = [];
  for (const { node, subnetEnv } of ranges) {
    const network = Cidr.tryParse(/^FLANNEL_NETWORK=(.*)$/m.exec(subnetEnv)?.[1] ?? '');
    const subnet = Cidr.tryParse(/^FLANNEL_SUBNET=(.*)$/m.exec(subnetEnv)?.[1] ?? '');
    if (network === undefined || subnet === undefined) {
      failures.push(`${node}: subnet.env has no FLANNEL_NETWORK or no FLANNEL_SUBNET`);
      continue;
    }
    networks.add(network.toString());
    if (!network.contains(subnet)) failures.push(`${node}: ${subnet} lies outside ${network}`);
    for (const other of subnets)
      if (other.cidr.overlaps(subnet))
        failures.push(`${subnet} of ${node} overlaps ${other.cidr} of ${other.node}`);
    subnets.push({ node, cidr: subnet });
  }
  for (const network of networks)
    for (const other of [SERVICE_NETWORK, UNDERLAY, WORLD_NETWORK])
      if (Cidr.parse(network).overlaps(Cidr.parse(other))) failures.push(`${network} overlaps ${other}`);
  const shown = subnets.slice(0, 3).map(({ node, cidr }) => `${node} ${cidr.network()}`);
  return {
    part: 'requirement 4',
    title: TITLE,
    ok: failures.length === 0 && subnets.length > 0,
    evidence: `pods ${[...networks].join(', ')}, services ${SERVICE_NETWORK}, underlay ${UNDERLAY}; ${shown.join(', ')}`,
    failures,
  };
}
