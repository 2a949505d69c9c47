import { VERSION } from '#base/version.ts';
import type { PassReport } from '#host/pass.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import type { PerFamily } from '#subnet/lease.ts';
import type { Readiness } from './health.ts';
import type { PeersSummary } from './peers-summary.ts';

/** What this node is and builds on, once it is known: nothing of it changes during a run. */
export interface NodeFacts {
  readonly own: Pick<OwnRecord, 'name' | 'subnets'>;
  readonly backendType: string;
  readonly publicIps: PerFamily<{ toString(): string }>;
  readonly external: { readonly name: string; readonly mtu: number };
  /** FLANNEL_MTU, bytes. */
  readonly mtu: number;
  readonly rulesMode: string;
}

export interface LastPass {
  /** Wall clock, ms. */
  readonly at: number;
  readonly ms: number;
  readonly report: Pick<PassReport, 'foundCount' | 'errors'>;
}

/** Something that somebody else had changed and that was put right. */
export interface Repair {
  /** Wall clock, ms. */
  readonly at: number;
  readonly counts: Readonly<Record<string, number>>;
  /** What was found, in words. */
  readonly what: string;
}

export interface StatusParts {
  readonly readiness: Readiness;
  readonly startedAt: number;
  readonly facts: NodeFacts | undefined;
  readonly peers: PeersSummary | undefined;
  readonly pass: LastPass | undefined;
  readonly repairs: readonly Repair[];
  readonly store: { readonly fromMemory: boolean; readonly trouble: string | undefined };
  /** Undefined before the first check. */
  readonly rules: { readonly error: string | undefined } | undefined;
}

/** The schema of the status file; a reader that knows 1 can read every later one with the same number. */
const SCHEMA = 1;

/** What the status file says (docs/status.md), but for the times that pass by themselves. */
export function statusOf(parts: StatusParts): Record<string, unknown> {
  const { readiness, facts, peers, pass, rules, store } = parts;
  return {
    schema: SCHEMA,
    ...readiness,
    pid: process.pid,
    version: VERSION,
    startedAt: time(parts.startedAt),
    ...(facts !== undefined && {
      node: facts.own.name,
      lease: { backend: facts.backendType, subnets: facts.own.subnets, publicIps: facts.publicIps },
      external: facts.external,
      mtu: facts.mtu,
      rules: { mode: facts.rulesMode, ...rulesState(rules) },
    }),
    store,
    ...(peers !== undefined && {
      peers: {
        wanted: peers.wanted,
        programmed: peers.programmed,
        leftOut: peers.wanted - peers.programmed,
        reasons: Object.fromEntries(peers.leftOut),
        conflicts: peers.conflicts,
      },
    }),
    ...(pass !== undefined && {
      lastPass: {
        at: time(pass.at),
        ms: Math.round(pass.ms * 10) / 10,
        found: pass.report.foundCount,
        errors: pass.report.errors.length,
      },
    }),
    repairs: parts.repairs.map(({ at, counts, what }) => ({ at: time(at), counts, what })),
  };
}

function rulesState(rules: StatusParts['rules']): Record<string, string> {
  if (rules === undefined) return { state: 'unknown' };
  return rules.error === undefined ? { state: 'ok' } : { state: 'failed', error: rules.error };
}

export function time(ms: number): string {
  return new Date(ms).toISOString();
}
