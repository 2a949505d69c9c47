import type { Backend } from '#backend/backend.ts';
import type { Entry, HostPlan } from '#host/plan.ts';
import type { LeftOutReason } from '#subnet/lease.ts';
import type { RuleSet, TrafficMode } from '#traffic/rules.ts';
import type { Peers } from '../peers.ts';

/** Everything that this node is to look like, as a tool needs it that compares it with the kernel. */
export interface Overlay extends OverlayHead {
  /** By name, in the order in which the store told of them. */
  readonly peers: ReadonlyMap<string, OverlayPeer>;
}

/** The plan but for the peers. */
export interface OverlayHead {
  /** Name of this node in the store. */
  readonly node: string;
  /** Type of the backend. */
  readonly backend: string;
  readonly devices: Omit<HostPlan, 'entries'>;
  /** Undefined where they are not known: they depend on the agent's flags. */
  readonly rules: { readonly mode: TrafficMode; readonly set: RuleSet } | undefined;
  /** Keys (`entryKey`) of entries that the kernel does not take. */
  readonly refused: readonly string[];
}

/** A peer and what it claims. Two peers may claim one entry: `Claims` settles it. */
export interface OverlayPeer {
  readonly entries: readonly Entry[];
  /** Why it is left out, wholly or in one family. */
  readonly leftOut?: { readonly reason: LeftOutReason; readonly why: string };
}

export interface OverlayParts extends Pick<OverlayHead, 'node' | 'rules'> {
  readonly plan: HostPlan;
  readonly backend: Pick<Backend, 'type'>;
  readonly peers: Pick<Peers, 'names' | 'reasons' | 'complaints' | 'claims' | 'revision'>;
  /** Peers that the store itself leaves out. */
  readonly unreadable: ReadonlyMap<string, LeftOutReason>;
  readonly refused: Iterable<string>;
}

/** The overlay as the agent has it in memory. Peers are looked at one after another, when they are asked for. */
export function overlayOf(parts: OverlayParts): OverlayHead & {
  readonly peers: Iterable<readonly [string, OverlayPeer]>;
} {
  const { node, backend, plan, rules, refused } = parts;
  const { links, blackholes, external, keepDevices = false } = plan;
  const devices = { links, blackholes, keepDevices, ...(external === undefined ? {} : { external }) };
  return { node, backend: backend.type, devices, rules, refused: [...refused], peers: peersOf(parts) };
}

function* peersOf(parts: OverlayParts): Generator<readonly [string, OverlayPeer]> {
  for (const name of new Set([...parts.peers.names, ...parts.unreadable.keys()])) {
    const peer = peerOf(parts, name);
    if (peer !== undefined) yield [name, peer];
  }
}

/** One of them; undefined when there is none of this name. */
export function peerOf({ peers, unreadable }: OverlayParts, name: string): OverlayPeer | undefined {
  if (!peers.names.has(name) && !unreadable.has(name)) return undefined;
  const entries = peers.claims.claimed.get(name) ?? [];
  const reason = peers.reasons.get(name) ?? unreadable.get(name);
  if (reason === undefined) return { entries };
  return { entries, leftOut: { reason, why: peers.complaints.get(name) ?? '' } };
}
