import type { LeftOutReason } from '#subnet/lease.ts';
import type { Peers } from './peers.ts';

/** Why a peer is not in the kernel: as its lease says, another peer has its place, or the kernel refuses it. */
export type PeerTrouble = LeftOutReason | 'conflict' | 'refused';

/** The peers in numbers: wanted = programmed + all that are left out. */
export interface PeersSummary {
  /** Peers whose lease can be read. */
  readonly leases: number;
  readonly wanted: number;
  readonly programmed: number;
  /** A peer counts once, also when only one of its families is left out. */
  readonly leftOut: ReadonlyMap<PeerTrouble, number>;
  /** Kernel entries that more than one peer claims, each loser counted. */
  readonly conflicts: number;
}

export interface SummaryParts {
  readonly peers: Pick<Peers, 'names' | 'reasons' | 'claims'>;
  /** Peers that the store itself leaves out. */
  readonly unreadable: ReadonlyMap<string, LeftOutReason>;
  /** Keys of entries that the kernel does not take. */
  readonly refused: ReadonlySet<string>;
}

/** Costs as much as there is trouble, not as there are peers; only refused entries are looked up among all. */
export function summarisePeers({ peers, unreadable, refused }: SummaryParts): PeersSummary {
  const troubles = new Map<string, PeerTrouble>([...peers.reasons, ...unreadable]);
  const note = (name: string, trouble: PeerTrouble) => {
    if (!troubles.has(name)) troubles.set(name, trouble);
  };
  const conflicts = peers.claims.conflicts();
  for (const { loser } of conflicts) note(loser, 'conflict');
  if (refused.size > 0) for (const name of peers.claims.ownersOf(refused)) note(name, 'refused');
  const leftOut = new Map<PeerTrouble, number>();
  for (const trouble of troubles.values()) leftOut.set(trouble, (leftOut.get(trouble) ?? 0) + 1);
  let strangers = 0;
  for (const name of unreadable.keys()) if (!peers.names.has(name)) strangers += 1;
  const wanted = peers.names.size + strangers;
  return {
    leases: peers.names.size,
    wanted,
    programmed: wanted - troubles.size,
    leftOut,
    conflicts: conflicts.length,
  };
}
