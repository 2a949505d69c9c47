import { Reader } from './reader.ts';

/** What the agent says of itself (docs/status.md), now or, in the file, when it wrote it. Times are those of the text. */
export interface AgentStatus {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly reason: string;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  readonly node: string | undefined;
  readonly lease: NodeLease | undefined;
  readonly external: { readonly name: string; readonly mtu: number } | undefined;
  readonly mtu: number | undefined;
  readonly rules: AgentRules | undefined;
  readonly store: { readonly fromMemory: boolean; readonly trouble: string | undefined };
  readonly peers: AgentPeers | undefined;
  readonly lastPass: LastPass | undefined;
  readonly repairs: readonly AgentRepair[];
  readonly lastContact: string | undefined;
  readonly writtenAt: string;
}

/** By family. */
export interface NodeLease {
  readonly backend: string;
  readonly subnets: Readonly<Record<string, string>>;
  readonly publicIps: Readonly<Record<string, string>>;
}

export interface AgentRules {
  readonly mode: string;
  readonly state: string;
  readonly error: string | undefined;
}

export interface AgentPeers {
  readonly wanted: number;
  readonly programmed: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly conflicts: number;
}

export interface LastPass {
  readonly at: string;
  readonly ms: number;
  readonly found: number;
  readonly errors: number;
}

export interface AgentRepair {
  readonly at: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly what: string;
}

/** Reads the status file or the agent's answer. Throws FlannelError that names the field. */
export function parseStatus(text: string): AgentStatus {
  const status = Reader.parse(text, 'status');
  const store = status.optional('store');
  return {
    ready: status.field('ready').flag(),
    serving: status.optional('serving')?.flag() ?? false,
    reason: status.field('reason').text(),
    pid: status.field('pid').number(),
    version: status.field('version').text(),
    startedAt: status.field('startedAt').text(),
    node: status.optional('node')?.text(),
    lease: read(status.optional('lease'), (lease) => ({
      backend: lease.field('backend').text(),
      subnets: lease.field('subnets').fields((item) => item.text()),
      publicIps: lease.field('publicIps').fields((item) => item.text()),
    })),
    external: read(status.optional('external'), (external) => ({
      name: external.field('name').text(),
      mtu: external.field('mtu').number(),
    })),
    mtu: status.optional('mtu')?.number(),
    rules: read(status.optional('rules'), (rules) => ({
      mode: rules.field('mode').text(),
      state: rules.field('state').text(),
      error: rules.optional('error')?.text(),
    })),
    store: {
      fromMemory: store?.optional('fromMemory')?.flag() ?? false,
      trouble: store?.optional('trouble')?.text(),
    },
    peers: read(status.optional('peers'), readPeers),
    lastPass: read(status.optional('lastPass'), (pass) => ({
      at: pass.field('at').text(),
      ms: pass.field('ms').number(),
      found: pass.field('found').number(),
      errors: pass.field('errors').number(),
    })),
    repairs: status.optional('repairs')?.list(readRepair) ?? [],
    lastContact: status.optional('lastContact')?.text(),
    writtenAt: status.field('writtenAt').text(),
  };
}

function readPeers(peers: Reader): AgentPeers {
  return {
    wanted: peers.field('wanted').number(),
    programmed: peers.field('programmed').number(),
    reasons: peers.field('reasons').fields((item) => item.number()),
    conflicts: peers.field('conflicts').number(),
  };
}

function readRepair(repair: Reader): AgentRepair {
  return {
    at: repair.field('at').text(),
    counts: repair.field('counts').fields((item) => item.number()),
    what: repair.field('what').text(),
  };
}

function read<T>(reader: Reader | undefined, make: (reader: Reader) => T): T | undefined {
  return reader === undefined ? undefined : make(reader);
}
