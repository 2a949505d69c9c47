import { describeEntry, entryKey } from '#host/plan.ts';
import type { PeerView } from '#page/model.ts';
import type { OverlayPeer } from '../inspect/overlay.ts';
import { factsOf } from '../inspect/peer-facts.ts';
import type { PagePlan } from './answers.ts';

/** What is wrong with some peers: nothing with most. */
export interface Troubles {
  /** By peer: who has what it claims, in words. */
  readonly lost: ReadonlyMap<string, string>;
  /** Keys of entries. */
  readonly refused: ReadonlySet<string>;
}

export function troublesOf(plan: Pick<PagePlan, 'head' | 'conflicts'>): Troubles {
  const lost = new Map<string, string>();
  for (const { entry, winner, loser } of plan.conflicts()) {
    const what = entry.type === 'route' ? `${entry.dst}` : describeEntry(entry);
    // The route says more than the neighbour that comes with it.
    if (!lost.has(loser) || entry.type === 'route') lost.set(loser, `${winner} has ${what}`);
  }
  return { lost, refused: new Set(plan.head.refused) };
}

/** A peer in short, by the plan alone. */
export function peerView(name: string, peer: OverlayPeer, troubles: Troubles): PeerView {
  const { subnets, addresses, macs } = factsOf(peer.entries);
  const [vtepMac] = macs;
  return {
    name,
    subnets,
    publicIps: addresses,
    ...(vtepMac === undefined ? {} : { vtepMac }),
    ...stateOf(name, peer, troubles),
  };
}

function stateOf(
  name: string,
  { entries, leftOut }: OverlayPeer,
  { lost, refused }: Troubles,
): Pick<PeerView, 'state' | 'why'> {
  if (leftOut !== undefined) return { state: 'left_out', why: leftOut.why || leftOut.reason };
  const loser = lost.get(name);
  if (loser !== undefined) return { state: 'left_out', why: loser };
  if (refused.size > 0 && entries.some((entry) => refused.has(entryKey(entry))))
    return { state: 'refused', why: 'the kernel does not take its entries; the log says why' };
  return { state: entries.some(({ type }) => type === 'fdb') ? 'tunnel' : 'direct' };
}

/** All of them, one after another as they are asked for. */
export function* peerViews(plan: PagePlan): Generator<PeerView> {
  const troubles = troublesOf(plan);
  for (const [name, peer] of plan.peers()) yield peerView(name, peer, troubles);
}
