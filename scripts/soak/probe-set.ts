import { FlannelError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import { WORLD } from './addresses.ts';
import type { Probed } from './cluster.ts';
import type { Way } from './ledger.ts';
import type { SoakNode } from './node.ts';
import type { SoakPod } from './pods.ts';
import type { ProbePair, ProbePlace } from './prober/protocol.ts';

interface End {
  readonly node: SoakNode;
  readonly pod: SoakPod;
}

/**
 * Which packets flow: between the first pods of all nodes, each way; from them to the world; from every other pod to the
 * first one of the next node.
 */
export function probesOf(
  cluster: { readonly nodes: readonly SoakNode[]; readonly families: readonly Family[] },
  world: ProbePlace,
): Probed {
  const { nodes, families } = cluster;
  const pairs: ProbePair[] = [];
  const ways = new Map<string, Way>();
  const firsts = nodes.flatMap((node) => node.pods.slice(0, 1).map((pod): End => ({ node, pod })));
  const add = (pair: ProbePair, way: Way) => {
    pairs.push(pair);
    ways.set(pair.id, way);
  };
  const between = (from: End, to: End) => {
    for (const family of families) add(podPair(from, to, family), { from: from.node.name, to: to.node.name });
  };
  for (const from of firsts) {
    for (const to of firsts) if (to !== from) between(from, to);
    for (const family of families) add(worldPair(from, family), { from: from.node.name, to: undefined });
  }
  for (const [at, node] of nodes.entries()) {
    const next = firsts.find((first) => first.node === nodes[(at + 1) % nodes.length]);
    if (next !== undefined) for (const pod of node.pods.slice(1)) between({ node, pod }, next);
  }
  const places = nodes.flatMap((node) => node.pods.map(({ name, netns }) => ({ name, netns })));
  return { set: { places: [...places, world], pairs }, ways };
}

function podPair(from: End, to: End, family: Family): ProbePair {
  const address = to.pod.addresses[family];
  if (address === undefined) throw new FlannelError('bug', `${to.pod.name} has no ${family} address`);
  const id = `${from.pod.name} > ${to.pod.name} ${family}`;
  return { id, from: from.pod.name, to: to.pod.name, address, freshPort: false };
}

function worldPair(from: End, family: Family): ProbePair {
  const id = `${from.pod.name} > world ${family}`;
  return { id, from: from.pod.name, to: 'world', address: WORLD[family], freshPort: true };
}
