import { cureOf, describe } from '#base/errors.ts';
import { capacity, reserved } from '#daemon/metrics/addresses.ts';
import { Cidr } from '#net/cidr.ts';
import type {
  AgentRepair,
  AgentRules,
  AgentStatus,
  LastPass,
  NodeLease,
} from '#daemon/inspect/agent-status.ts';
import type { LiveChain } from '#traffic/live-chains.ts';
import { claimsOf, type Difference } from '#daemon/inspect/difference.ts';
import { since } from './output.ts';
import { peerRows, sourceOf } from './peers.ts';
import type { NodeView } from './view.ts';

/** The whole answer of `flannelctl status`: what is printed, and the JSON and YAML. Missing: not known. */
export interface StatusReport {
  readonly source: ReturnType<typeof sourceOf>;
  readonly node?: string;
  /** True when the agent runs and does its work, or all of it that it can do without its store. */
  readonly ready: boolean;
  readonly reason: string;
  readonly agent?: { readonly pid: number; readonly version: string; readonly startedAt: string };
  readonly lease?: NodeLease;
  readonly external?: { readonly name: string; readonly mtu: number };
  readonly mtu?: number;
  readonly peers?: ReportedPeers;
  /** Kernel objects of the plan. */
  readonly entries?: ReportedEntries;
  /** Why peers and entries are not known, and what the kernel has instead. */
  readonly unknown?: {
    readonly why: string;
    readonly cure?: string;
    readonly kernel: readonly DeviceCount[];
  };
  readonly rules?: AgentRules & { readonly found: readonly string[] };
  readonly store?: ReportedStore;
  readonly addresses: Readonly<Record<string, { readonly used: number; readonly free: number }>>;
  readonly lastPass?: LastPass;
  readonly repairs: readonly AgentRepair[];
}

/** What stands on a device of Flannel's. */
export interface DeviceCount {
  readonly device: string;
  readonly up: boolean;
  readonly routes: number;
  readonly neighbours: number;
  readonly fdb: number;
}

export interface ReportedPeers {
  readonly wanted: number;
  readonly programmed: number;
  /** Kernel entries that belong to no peer. */
  readonly stale: number;
  /** Number of peers that are not programmed, by state. */
  readonly others: Readonly<Record<string, number>>;
}

export interface ReportedEntries {
  readonly planned: number;
  /** What is not as planned, in words, rules included. */
  readonly found: readonly string[];
  readonly unread: readonly string[];
}

export interface ReportedStore {
  readonly lastContact?: string;
  /** Since then, s. */
  readonly age?: number;
  readonly fromMemory: boolean;
  readonly trouble?: string;
}

export interface ReportParts {
  readonly view: NodeView;
  /** Undefined without an overlay. */
  readonly difference: Difference | undefined;
  readonly ipamDir: string;
  readonly kernel: readonly DeviceCount[];
  /** The agent's chains that are in the kernel; undefined when the agent itself has looked. */
  readonly chains: readonly LiveChain[] | undefined;
  /** Wall clock, ms. */
  readonly now: number;
}

/** Puts together what is known. Reads host-local's folder; the rest is pure. */
export function reportOf(parts: ReportParts): StatusReport {
  const { view, ipamDir, now } = parts;
  const { status, overlay, noAgent } = view;
  const node = overlay?.node ?? status?.node;
  return {
    source: sourceOf(noAgent),
    ...(node === undefined ? {} : { node }),
    ...health(view),
    ...(status === undefined ? {} : ofAgent(status, now)),
    ...ofPlan(parts),
    ...rulesOf(parts),
    addresses: addressesOf(status?.lease, ipamDir),
    repairs: status?.repairs ?? [],
  };
}

function health({ noAgent, status }: NodeView): Pick<StatusReport, 'ready' | 'reason'> {
  if (noAgent !== undefined || status === undefined) return { ready: false, reason: noAgent ?? 'no status' };
  return { ready: status.ready || status.serving, reason: status.reason };
}

function ofAgent(status: AgentStatus, now: number): Partial<StatusReport> {
  const { pid, version, startedAt, lease, external, mtu, lastPass, lastContact, store } = status;
  const age = since(lastContact, now);
  return {
    agent: { pid, version, startedAt },
    ...(lease === undefined ? {} : { lease }),
    ...(external === undefined ? {} : { external }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(lastPass === undefined ? {} : { lastPass }),
    store: {
      fromMemory: store.fromMemory,
      ...(store.trouble === undefined ? {} : { trouble: store.trouble }),
      ...(lastContact === undefined ? {} : { lastContact }),
      ...(age === undefined ? {} : { age: Math.round(age / 100) / 10 }),
    },
  };
}

/** What can be said of the rules: the agent's own word, or whether any are there. */
function rulesOf({ view, difference, chains }: ReportParts): Partial<StatusReport> {
  const rules = view.status?.rules;
  if (rules === undefined) return {};
  if (chains === undefined) return { rules: { ...rules, found: difference?.rules ?? [] } };
  const there = chains.filter(({ mode, rules: lines }) => mode === rules.mode && lines.length > 0);
  const found = there.length > 0 ? [] : [`none of flanneld's ${rules.mode} rules is in the kernel`];
  return { rules: { ...rules, state: 'unknown', found } };
}

function ofPlan({ view, difference, kernel }: ReportParts): Partial<StatusReport> {
  const { overlay, noOverlay } = view;
  if (overlay === undefined || difference === undefined) {
    const cure = cureOf(noOverlay);
    const why = noOverlay === undefined ? 'there is no plan' : describe(noOverlay);
    return {
      unknown: { why, ...(cure === undefined ? {} : { cure }), kernel },
    };
  }
  const claims = claimsOf(overlay);
  const others: Record<string, number> = {};
  const rows = peerRows(overlay, { claims, difference });
  for (const { state } of rows) if (state !== 'programmed') others[state] = (others[state] ?? 0) + 1;
  const programmed = rows.filter(({ state }) => state === 'programmed').length;
  const { found, unread, stale } = difference;
  return {
    peers: { wanted: rows.length, programmed, stale: stale.length, others },
    entries: { planned: claims.entries.size, found, unread },
  };
}

function addressesOf(lease: NodeLease | undefined, dir: string): StatusReport['addresses'] {
  const subnets = Object.values(lease?.subnets ?? {}).flatMap((text) => Cidr.tryParse(text) ?? []);
  const used = reserved(dir, subnets);
  if (used === undefined) return {};
  return Object.fromEntries(
    subnets.map((subnet, at) => {
      const taken = used[at] ?? 0;
      return [subnet.family, { used: taken, free: Math.max(0, capacity(subnet) - taken) }];
    }),
  );
}
