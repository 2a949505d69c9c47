import { FlannelError } from '#base/errors.ts';
import type { EtcdClient } from '#clients/etcd/client.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Ip } from '#net/ip.ts';
import type { NetworkConfig } from '../config.ts';
import { Complaint, type RetryContext, Waits } from '../retry.ts';
import type { PerFamily } from '../lease.ts';
import type { OwnAttributes, OwnRecord } from '../manager.ts';
import { chooseSubnets, type Choice, isOurs } from './choose.ts';
import { type Entry, entryOf } from './entry.ts';
import { subnetName, subnetsPrefix } from './keys.ts';
import { renderLeaseValue } from './value.ts';

/** Seconds an etcd lease lives, as in the original. */
export const LEASE_TTL = 86_400;

export interface ClaimContext extends RetryContext {
  readonly client: EtcdClient;
  /** `--etcd-prefix`, normalised. */
  readonly prefix: string;
  /** What `subnet.env` says of an earlier run; {} without one. */
  readonly previous: PerFamily<Cidr>;
  /** This node's published addresses; may wait for an interface. */
  readonly publicIps: (signal: AbortSignal) => Promise<PerFamily<Ip>>;
  /** Frees what a page of a list left behind; its cost counts, so it may do nothing. */
  readonly relax: () => void;
  /** What this node would publish with these subnets. */
  readonly draft: (own: OwnRecord) => OwnAttributes;
}

/** A subnet that this node holds. */
export interface Claim {
  readonly record: OwnRecord;
  readonly entry: Entry;
  /** Seconds left; undefined for a reservation, which does not expire. */
  readonly ttl: number | undefined;
}

/** Gets a subnet: waits while etcd cannot be reached, or while there is none. Rejects with the signal's reason. */
export async function claimSubnet(
  context: ClaimContext,
  config: NetworkConfig,
  signal: AbortSignal,
): Promise<Claim> {
  const complaint = new Complaint(context);
  const waits = new Waits(context, { initial: 100, max: 10_000 });
  for (;;) {
    let failure: unknown;
    try {
      const publicIps = await context.publicIps(signal);
      const entries = await listEntries(context, { config, publicIps, signal });
      const choice = chooseSubnets({ ...context, config, entries, publicIps });
      const claim = await carryOut(context, { choice, publicIps, signal });
      if (claim !== undefined) {
        complaint.over('this node has its subnet');
        return claim;
      }
      // Somebody was faster: look again at once, the first few times.
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
      complaint.say('cannot get a subnet from etcd, trying again', error);
    }
    await waits.sleep(signal, failure);
  }
}

/** All leases; of those that are not ours only what the choice depends on. */
async function listEntries(
  context: ClaimContext,
  parts: { readonly config: NetworkConfig; readonly publicIps: PerFamily<Ip>; readonly signal: AbortSignal },
): Promise<Entry[]> {
  const { client, relax } = context;
  const prefix = subnetsPrefix(context.prefix);
  const entries: Entry[] = [];
  await client.list(prefix, {
    signal: parts.signal,
    onPage: (kvs) => {
      for (const kv of kvs) {
        const entry = entryOf(kv, prefix);
        if (entry === undefined) continue;
        const ours = isOurs(entry, parts.publicIps, parts.config);
        entries.push(ours ? entry : { ...entry, value: 'not ours', text: '' });
      }
      relax();
    },
  });
  return entries;
}

interface Step {
  readonly choice: Choice;
  readonly publicIps: PerFamily<Ip>;
  readonly signal: AbortSignal;
}

/** Undefined: the world has moved on, choose again. */
async function carryOut(context: ClaimContext, step: Step): Promise<Claim | undefined> {
  const { choice, signal } = step;
  const { client, log } = context;
  switch (choice.kind) {
    case 'full':
      throw new FlannelError('operator', `no ${choice.family} subnet is free`, {
        cure: 'make Network larger or SubnetLen longer, or remove leases of nodes that are gone',
      });
    case 'drop': {
      const key = subnetsPrefix(context.prefix) + choice.entry.name;
      log.info('the lease of this node does not fit the configuration; removing it', {
        lease: choice.entry.name,
      });
      await client.deleteIf(key, choice.entry.modRevision, signal);
      return undefined;
    }
    case 'adopt':
      return adopt(context, choice.entry, step);
    case 'create':
      return create(context, choice.subnets, step);
  }
}

/** Takes over the entry that is ours. Its value is written by `publish`; here it is only kept from expiring. */
async function adopt(context: ClaimContext, entry: Entry, step: Step): Promise<Claim | undefined> {
  const { client, log } = context;
  const value = typeof entry.value === 'string' ? undefined : entry.value;
  const record: OwnRecord = {
    name: entry.name,
    subnets: entry.subnets,
    backendType: value?.backendType,
    backendData: value?.backendData ?? {},
    publicIp: {},
  };
  if (entry.lease === 0n) {
    log.info('the subnet of this node is reserved; it does not expire', { subnet: entry.name });
    return { record, entry, ttl: undefined };
  }
  const ttl = await client.keepAlive(entry.lease, step.signal);
  return ttl === 0 ? undefined : { record, entry, ttl };
}

async function create(
  context: ClaimContext,
  subnets: PerFamily<Cidr>,
  { signal }: Step,
): Promise<Claim | undefined> {
  const { client, log } = context;
  const name = subnetName(subnets);
  const none = { name, subnets, backendType: undefined, backendData: {}, publicIp: {} };
  const attributes = context.draft(none);
  const value = renderLeaseValue(attributes);
  const lease = await client.grant(LEASE_TTL, signal);
  const key = subnetsPrefix(context.prefix) + name;
  let made = false;
  try {
    made = await client.putIf({ key, value, lease, unchangedSince: 0n }, signal);
  } finally {
    // Rejects like everything else while etcd is away; a lease without a key is harmless and expires.
    if (!made) await client.revoke(lease, signal).catch(() => {});
  }
  const kv = made ? await client.get(key, signal) : undefined;
  const entry = kv === undefined ? undefined : entryOf(kv, subnetsPrefix(context.prefix));
  if (entry === undefined || entry.lease !== lease) return undefined;
  log.info('got a subnet', { subnet: name });
  const { backendType, backendData } = attributes;
  return { record: { ...none, backendType, backendData }, entry, ttl: LEASE_TTL };
}
