import { FlannelError } from '#base/errors.ts';
import { Mac } from '#net/mac.ts';
import type { Family } from '#net/family.ts';
import { paperNode, paperOnLink } from '../addresses.ts';
import { BACKEND_FACTS } from '../backends.ts';
import type { Draw, FaultKind } from '../fault.ts';
import { publishedBy } from '../node-text.ts';

/** There are never more of these. */
const MOST = 30;

/** What happens to one Node that exists on paper only. */
interface PaperChange {
  readonly index: number;
  readonly does: 'joins' | 'leaves' | 'changes';
  readonly mac: Mac;
  readonly moved: boolean;
}

/** Nodes that exist on paper only come, go and change; every agent has to follow. */
export function drawPaperChange({ cluster, random }: Draw): {
  readonly what: string;
  readonly apply: () => void;
} {
  const there = new Set(cluster.api.nodes.list().map(({ metadata }) => metadata.name));
  const indices = random
    .shuffled(Array.from({ length: MOST }, (_, at) => at))
    .slice(0, random.between(1, 12));
  const changes = indices.map((index): PaperChange => {
    const exists = there.has(paperNode(cluster.families, index).name);
    const does = exists ? random.pick(['leaves', 'changes'] as const) : 'joins';
    return { index, does, mac: Mac.local(random.bytes(6)), moved: random.chance(0.5) };
  });
  const count = (does: PaperChange['does']) => changes.filter((change) => change.does === does).length;
  return {
    what: `${count('joins')} Nodes join, ${count('leaves')} leave, ${count('changes')} change`,
    apply: () => {
      for (const change of changes) applyChange(cluster, change);
    },
  };
}

function applyChange(
  { api, families, backend }: Draw['cluster'],
  { index, does, mac, moved }: PaperChange,
): void {
  const { name, podCidrs } = paperNode(families, index);
  if (does === 'leaves') {
    api.nodes.delete(name);
    return;
  }
  const { type } = BACKEND_FACTS[backend];
  const annotations = publishedBy(families, {
    type,
    mac: mac.toString(),
    addresses: addressesOf(index, moved),
  });
  if (does === 'changes') {
    api.nodes.update(name, (node) => {
      node.metadata.annotations = annotations;
    });
    return;
  }
  const [podCIDR] = podCidrs;
  if (podCIDR === undefined) throw new FlannelError('bug', 'a Node without a podCIDR');
  api.nodes.create({ metadata: { name, annotations }, spec: { podCIDR, podCIDRs: [...podCidrs] } });
}

/** Every other one is on the nodes' link, and leaves it when it has moved. */
function addressesOf(index: number, moved: boolean): Readonly<Record<Family, string>> {
  const { ipv4, ipv6 } = paperNode([], index).addresses;
  if (index % 2 === 0) return moved ? { ipv4, ipv6 } : paperOnLink(index);
  if (!moved) return { ipv4, ipv6 };
  return { ipv4: ipv4.replace('172.20.0.', '172.20.1.'), ipv6: ipv6.replace('fd51::', 'fd51:0:0:1::') };
}

export const PAPER_FAULTS: readonly FaultKind[] = [
  {
    name: 'peers-change',
    on: 'api',
    weight: 3,
    draw: (draw) => {
      const { what, apply } = drawPaperChange(draw);
      return { what, hurts: [], bound: 3000, run: async () => apply() };
    },
  },
];
