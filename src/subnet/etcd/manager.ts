import { describe, FlannelError } from '#base/errors.ts';
import type { KvEvent } from '#clients/etcd/client.ts';
import { isCompacted } from '#clients/etcd/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { NetworkConfig } from '../config.ts';
import { Complaint, Waits } from '../retry.ts';
import { type Lease, type LeftOutReason, type PerFamily, sameLease } from '../lease.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord, SubnetManager } from '../manager.ts';
import { type ClaimContext, claimSubnet } from './claim.ts';
import { type Entry, entryOf, leaseOf } from './entry.ts';
import { Holder, LeaseLost } from './holder.ts';
import { configKey, subnetsPrefix } from './keys.ts';

export interface EtcdManagerOptions extends ClaimContext {
  /** ms before expiry at which the lease is renewed. */
  readonly renewMargin: number;
  /** The text of the configuration that the agent runs with. */
  readonly configText: string;
  /** Called with every other text that appears there, and the subnets that this node holds. Throws what is wrong with the text. */
  readonly onConfig: (text: string, subnets: PerFamily<Cidr>) => void;
}

/** A watch that lived this long was a good one, ms. */
const GOOD = 10_000;

/** The etcd subnet manager (wire contract section 7). */
export function createEtcdManager(options: EtcdManagerOptions): SubnetManager {
  return new EtcdManager(options);
}

class EtcdManager implements SubnetManager {
  readonly kind = 'etcd';
  readonly #options: EtcdManagerOptions;
  #config: NetworkConfig | undefined;
  #holder: Holder | undefined;
  #contact: number | undefined;
  #leases = new Map<string, Lease>();
  #problems = new Map<string, string>();
  #configText: string;
  /** Where the watch goes on; undefined: list first. */
  #revision: bigint | undefined;
  /** Ends the watch of the moment, which may hang on a dead member. */
  #cut = new AbortController();

  constructor(options: EtcdManagerOptions) {
    this.#options = options;
    this.#configText = options.configText;
  }

  async own(config: NetworkConfig, signal: AbortSignal): Promise<OwnRecord> {
    const claim = await claimSubnet(this.#options, config, signal);
    this.#heard();
    this.#config = config;
    const onContact = () => this.#heard();
    const onSilence = () => this.#cut.abort(new FlannelError('api', 'etcd does not answer'));
    this.#holder = new Holder({ ...this.#options, config, onContact, onSilence }, claim);
    return claim.record;
  }

  async publish(attributes: OwnAttributes, signal: AbortSignal): Promise<void> {
    await this.#held().holder.publish(attributes, signal);
  }

  /** Resolves when aborted; rejects with LeaseLost. */
  async watch(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void> {
    const { holder } = this.#held();
    const lost = new AbortController();
    const both = AbortSignal.any([signal, lost.signal]);
    const guard = async (work: Promise<void>) => {
      try {
        await work;
      } catch (error) {
        if (!both.aborted) lost.abort(error);
      }
    };
    await Promise.all([guard(holder.run(both)), guard(this.#follow(onEvent, both))]);
    if (lost.signal.aborted) throw lost.signal.reason;
  }

  /** There is nobody to tell. */
  announceReady(): Promise<void> {
    return Promise.resolve();
  }

  lastContact(): number | undefined {
    return this.#contact;
  }

  leftOut(): ReadonlyMap<string, LeftOutReason> {
    return new Map([...this.#problems.keys()].map((name) => [name, 'unreadable']));
  }

  async #follow(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void> {
    const { clock, log, observer } = this.#options;
    const complaint = new Complaint(this.#options);
    const waits = new Waits(this.#options, { initial: 200, max: 10_000 });
    while (!signal.aborted) {
      const started = clock.monotonic();
      let failure: unknown;
      try {
        if (this.#revision === undefined) await this.#list(onEvent, signal);
        complaint.over('etcd answers again');
        await this.#watchOnce(onEvent, { signal, onCreated: () => complaint.over('etcd answers again') });
        observer.watchEnded('ended');
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof LeaseLost) throw error;
        failure = error;
        const silent = error === this.#cut.signal.reason;
        if (this.#revision !== undefined)
          observer.watchEnded(isCompacted(error) ? 'gone' : silent ? 'silent' : 'failed');
        if (isCompacted(error)) {
          log.info('the history in etcd is compacted; listing the leases again');
          this.#revision = undefined;
        } else if (!silent) complaint.say('etcd cannot be followed, trying again', error);
      }
      if (clock.monotonic() - started >= GOOD) waits.reset();
      await waits.sleep(signal, failure);
    }
  }

  async #list(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void> {
    const { client, prefix, log, observer } = this.#options;
    const { config, holder } = this.#held();
    const config0 = await client.get(configKey(prefix), signal);
    const leases = new Map<string, Lease>();
    let own: Entry | undefined;
    const revision = await client.list(subnetsPrefix(prefix), {
      signal,
      onPage: (kvs) => {
        for (const kv of kvs) {
          const entry = entryOf(kv, subnetsPrefix(prefix));
          if (entry?.name === holder.name) own = entry;
          const lease = entry === undefined ? undefined : this.#read(entry, config);
          if (lease !== undefined) leases.set(lease.name, lease);
        }
        this.#options.relax();
      },
    });
    this.#heard();
    this.#sawConfig(config0?.value);
    await this.#sawOwn(own, signal);
    this.#leases = leases;
    this.#revision = revision + 1n;
    observer.listed();
    onEvent({ type: 'reset', leases: new Map(leases) });
    log.info('leases listed', { peers: leases.size, server: client.endpoint });
  }

  async #watchOnce(
    onEvent: (event: LeaseEvent) => void,
    parts: { readonly signal: AbortSignal; readonly onCreated: () => void },
  ): Promise<void> {
    const { client, prefix } = this.#options;
    this.#cut = new AbortController();
    await client.watch({
      prefix: `${prefix}/`,
      revision: this.#revision ?? 0n,
      signal: AbortSignal.any([parts.signal, this.#cut.signal]),
      onCreated: parts.onCreated,
      onEvents: (events: readonly KvEvent[]) => {
        this.#heard();
        for (const event of events) this.#event(event, { onEvent, signal: parts.signal });
      },
    });
  }

  #event(
    { type, kv }: KvEvent,
    to: { readonly onEvent: (event: LeaseEvent) => void; readonly signal: AbortSignal },
  ): void {
    const { prefix } = this.#options;
    const { config, holder } = this.#held();
    this.#revision = kv.modRevision + 1n;
    if (kv.key === configKey(prefix)) {
      this.#sawConfig(type === 'put' ? kv.value : undefined);
      return;
    }
    if (!kv.key.startsWith(subnetsPrefix(prefix))) return;
    const entry = entryOf(kv, subnetsPrefix(prefix));
    if (entry === undefined) return;
    if (entry.name === holder.name) {
      void this.#sawOwn(type === 'put' ? entry : undefined, to.signal).catch((error: unknown) =>
        this.#cut.abort(error),
      );
      return;
    }
    const lease = type === 'put' ? this.#read(entry, config) : undefined;
    const known = this.#leases.get(entry.name);
    if (lease === undefined) {
      if (type === 'delete') this.#problems.delete(entry.name);
      if (this.#leases.delete(entry.name)) to.onEvent({ type: 'delete', name: entry.name });
    } else if (known === undefined || !sameLease(known, lease)) {
      this.#leases.set(entry.name, lease);
      to.onEvent({ type: 'put', lease });
    }
  }

  async #sawOwn(entry: Entry | undefined, signal: AbortSignal): Promise<void> {
    const { holder } = this.#held();
    holder.observe(entry);
    if (holder.differs) await holder.assertAgain(signal);
  }

  /** A peer's lease; undefined for our own key and for what is none, said once. */
  #read(entry: Entry, config: NetworkConfig): Lease | undefined {
    if (entry.name === this.#held().holder.name) return undefined;
    const lease = leaseOf(entry, config);
    if (typeof lease !== 'string') {
      this.#problems.delete(entry.name);
      return lease;
    }
    if (this.#problems.get(entry.name) !== lease) {
      this.#options.log.warn('lease skipped', { lease: entry.name, reason: lease });
    }
    this.#problems.set(entry.name, lease);
    return undefined;
  }

  #sawConfig(text: string | undefined): void {
    const { onConfig, log, prefix } = this.#options;
    if (text === this.#configText) return;
    if (text === undefined) {
      log.warn('the configuration was removed from etcd; going on with the one we have', {
        key: configKey(prefix),
      });
      return;
    }
    this.#configText = text;
    try {
      onConfig(text, this.#held().holder.subnets);
    } catch (error) {
      log.error('the new configuration in etcd is not taken', { error: describe(error) });
    }
  }

  #held(): { readonly config: NetworkConfig; readonly holder: Holder } {
    const config = this.#config;
    const holder = this.#holder;
    if (config === undefined || holder === undefined) throw new FlannelError('bug', 'used before own()');
    return { config, holder };
  }

  #heard(): void {
    this.#contact = this.#options.clock.monotonic();
  }
}
