import { FlannelError } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { NetworkConfig } from '../config.ts';
import { Complaint, retry } from '../retry.ts';
import type { PerFamily } from '../lease.ts';
import type { OwnAttributes } from '../manager.ts';
import { isOurs } from './choose.ts';
import { type Claim, type ClaimContext, LEASE_TTL } from './claim.ts';
import { type Entry, entryOf } from './entry.ts';
import { subnetsPrefix } from './keys.ts';
import { renderLeaseValue } from './value.ts';

/** Another node may have the subnet by now: the agent must not go on with it. */
export class LeaseLost extends FlannelError {
  override readonly name = 'LeaseLost';

  constructor(subnet: string, what: string) {
    super('operator', `the lease of ${subnet} in etcd ${what}`, {
      cure: 'start the agent again: it takes the same subnet when it is still free, else another one',
    });
  }
}

/** How often the lease of this node is looked at, ms. */
const PERIOD = 20_000;
/** A renewal that failed is tried again after this long, ms. */
const RENEW_AGAIN = 60_000;

/** What somebody changes again and again is written again at most this often, ms. */
const ASSERT_AGAIN = 5000;

export interface HolderOptions extends ClaimContext {
  readonly config: NetworkConfig;
  /** ms before expiry at which the lease is renewed (`--subnet-lease-renew-margin`). */
  readonly renewMargin: number;
  /** Called whenever etcd answered with the consent of its members. */
  readonly onContact: () => void;
  /** Called when a member did not answer: what hangs on it should look elsewhere. */
  readonly onSilence: () => void;
}

/** Holds on to a claim: publishes, renews, and notices when it is lost. */
export class Holder {
  readonly #options: HolderOptions;
  readonly #claim: Claim;
  readonly #key: string;
  #entry: Entry;
  #attributes: OwnAttributes | undefined;
  /** Monotonic ms; undefined for a reservation. */
  #expires: number | undefined;
  #assertedAt = Number.NEGATIVE_INFINITY;
  #renewAt = Number.POSITIVE_INFINITY;

  constructor(options: HolderOptions, claim: Claim) {
    this.#options = options;
    this.#claim = claim;
    this.#entry = claim.entry;
    this.#key = subnetsPrefix(options.prefix) + claim.entry.name;
    if (claim.ttl !== undefined) this.#renewed(claim.ttl);
  }

  get name(): string {
    return this.#claim.entry.name;
  }

  get subnets(): PerFamily<Cidr> {
    return this.#claim.record.subnets;
  }

  /** ms until the lease expires when it is not renewed; undefined for a reservation. */
  #timeLeft(): number | undefined {
    return this.#expires === undefined ? undefined : this.#expires - this.#options.clock.monotonic();
  }

  /** Writes what peers are to know; returns when it stands. Rejects with LeaseLost or the signal's reason. */
  async publish(attributes: OwnAttributes, signal: AbortSignal): Promise<void> {
    this.#attributes = attributes;
    let lost: LeaseLost | undefined;
    const attempt = async () => {
      try {
        await this.#assert(signal);
      } catch (error) {
        if (!(error instanceof LeaseLost)) throw error;
        lost = error;
      }
    };
    await retry(this.#options, { what: 'publishing the lease in etcd', signal, attempt });
    if (lost !== undefined) throw lost;
  }

  /** Looks after the lease until aborted. Rejects with LeaseLost. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, onSilence } = this.#options;
    const complaint = new Complaint(this.#options);
    for (;;) {
      // Spread: thousands of agents may have started at the same time.
      await clock.sleep(PERIOD * (0.75 + random() / 2), signal);
      try {
        await this.#assert(signal);
        if (clock.monotonic() >= this.#renewAt) await this.#renew(signal);
        complaint.over('etcd answers again');
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof LeaseLost) throw error;
        // Another node may have the subnet by now: not one more entry on the strength of a lease that is over.
        if ((this.#timeLeft() ?? 1) <= 0)
          throw new LeaseLost(this.name, 'could not be renewed before it expired');
        complaint.say('the lease in etcd cannot be looked after, trying again', error);
        onSilence();
      }
    }
  }

  /** What the watch says of our own key. Throws LeaseLost. */
  observe(entry: Entry | undefined): void {
    if (entry === undefined) throw new LeaseLost(this.name, 'was removed or has expired');
    this.#take(entry);
  }

  /** True when the key does not say what we published. */
  get differs(): boolean {
    return this.#attributes !== undefined && this.#entry.text !== renderLeaseValue(this.#attributes);
  }

  /** Not more often than now and then: another node with our public address would do the same. */
  async assertAgain(signal: AbortSignal): Promise<void> {
    const { clock, log, observer } = this.#options;
    const now = clock.monotonic();
    if (now - this.#assertedAt < ASSERT_AGAIN) return;
    this.#assertedAt = now;
    log.warn('the lease of this node was changed by somebody else; writing it again', {
      lease: this.name,
      found: this.#entry.text.slice(0, 200),
      cure: 'look for another node with the same public address',
    });
    await this.#assert(signal);
    observer.leaseRepaired(['value']);
  }

  /** Reads our key; writes it when it does not say what it should. */
  async #assert(signal: AbortSignal): Promise<void> {
    const { client, prefix, onContact, observer } = this.#options;
    const kv = await client.get(this.#key, signal);
    onContact();
    this.observe(kv === undefined ? undefined : entryOf(kv, subnetsPrefix(prefix)));
    const attributes = this.#attributes;
    if (attributes === undefined || !this.differs) return;
    const { lease, modRevision } = this.#entry;
    const value = renderLeaseValue(attributes);
    const written = await client.putIf({ key: this.#key, value, lease, unchangedSince: modRevision }, signal);
    // Somebody was faster: who, is for the next look to say.
    if (written) {
      this.#entry = { ...this.#entry, text: value };
      observer.published();
    } else await this.#assert(signal);
  }

  #take(entry: Entry): void {
    const { config } = this.#options;
    const attributes = this.#attributes;
    const same = entry.lease === this.#entry.lease;
    if (!same && attributes !== undefined && !isOurs(entry, attributes.publicIp, config)) {
      throw new LeaseLost(this.name, 'belongs to another node now');
    }
    // The original renews with a new etcd lease: it, or an operator, may have been here.
    if (!same) this.#renewAt = this.#options.clock.monotonic();
    this.#entry = entry;
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { client, log, clock } = this.#options;
    const { lease } = this.#entry;
    if (lease === 0n) {
      this.#expires = undefined;
      this.#renewAt = Number.POSITIVE_INFINITY;
      return;
    }
    this.#renewAt = clock.monotonic() + RENEW_AGAIN;
    const ttl = await client.keepAlive(lease, signal);
    if (ttl === 0) throw new LeaseLost(this.name, 'has expired');
    this.#renewed(ttl);
    log.info('lease renewed', { lease: this.name, seconds: ttl });
  }

  #renewed(ttl: number): void {
    const { clock, renewMargin } = this.#options;
    const life = ttl * 1000;
    this.#expires = clock.monotonic() + life;
    // A lease that an operator made short is renewed in time, too.
    const wait = life > 2 * renewMargin ? life - renewMargin : life / 3;
    this.#renewAt = clock.monotonic() + Math.min(wait, LEASE_TTL * 1000);
  }
}
