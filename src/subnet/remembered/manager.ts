import type { Clock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { FAMILIES } from '#net/family.ts';
import type { NetworkConfig } from '../config.ts';
import { type Lease, type LeftOutReason, type PerFamily, sameLease } from '../lease.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord, SubnetManager } from '../manager.ts';
import type { Recall } from './recall.ts';
import { Recorder } from './recorder.ts';
import type { Snapshot, SnapshotOwner } from './snapshot.ts';

export interface RememberedOptions {
  readonly path: string;
  readonly owner: SnapshotOwner;
  readonly recall: Recall;
  readonly clock: Clock;
  readonly log: Logger;
  /** Least time between two writes of the record, ms. */
  readonly interval: number;
  /** What this node is has changed: start over with it. */
  readonly onOwnChange: (record: OwnRecord) => void;
  /** The store itself, given whom to tell that this node's subnets changed. */
  readonly open: (onOwnChange: (record: OwnRecord) => void) => SubnetManager;
}

/**
 * A subnet manager that writes down what it hears, and goes on with that while the store does not answer. As soon as the
 * store answers, everything is compared: another own record starts the agent over, and peers are reset to the truth.
 */
export class RememberedManager implements SubnetManager {
  readonly kind;
  readonly #options: RememberedOptions;
  readonly #store: SubnetManager;
  readonly #recorder: Recorder;
  #own: OwnRecord | undefined;
  #attributes: OwnAttributes | undefined;
  #leases = new Map<string, Lease>();
  /** What the store still has to answer, while we go on without; done: resolved. */
  #owed: Promise<void> = Promise.resolve();
  /** The leases are those of the record: the store has not listed its own yet. */
  #fromMemory = false;
  #listed = false;

  constructor(options: RememberedOptions) {
    const { path, owner, clock, log, interval, open } = options;
    this.#options = options;
    this.#store = open((record) => this.#changeOwn(record));
    this.kind = this.#store.kind;
    const state = () => this.#state();
    this.#recorder = new Recorder({ path, owner, clock, log, interval, state });
  }

  async own(config: NetworkConfig, signal: AbortSignal): Promise<OwnRecord> {
    const asked = this.#store.own(config, signal);
    // "Your Node does not exist" is an answer: the record must not contradict it.
    const answers = () => this.#store.lastContact() !== undefined;
    const answer = await this.#options.recall.patient(asked, { answers, signal });
    if (answer !== undefined) {
      this.#own = answer.value;
      return answer.value;
    }
    const { own } = this.#recalled();
    this.#own = own;
    this.#owed = asked.then((record) => this.#compareOwn(record));
    quiet(this.#owed);
    return own;
  }

  async publish(attributes: OwnAttributes, signal: AbortSignal): Promise<void> {
    this.#attributes = attributes;
    const published = this.#owed.then(() => this.#store.publish(attributes, signal));
    quiet(published);
    this.#owed = published;
    await this.#options.recall.patient(published, { answers: () => false, signal });
  }

  async watch(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void> {
    const { recall, clock } = this.#options;
    const first = Promise.withResolvers<void>();
    const take = (event: LeaseEvent): void => {
      this.#take(event);
      onEvent(event);
      if (event.type === 'reset') first.resolve();
    };
    const watching = this.#owed.then(() => this.#store.watch(take, signal));
    quiet(watching);
    try {
      const started = clock.monotonic();
      // A long list on its way is waited for, but not for ever.
      const answers = () => clock.monotonic() - started < 4 * recall.patience && this.#heardLately();
      const listed = Promise.race([first.promise, watching]);
      if ((await recall.patient(listed, { answers, signal })) === undefined && !this.#listed) {
        onEvent({ type: 'reset', leases: this.#recalled().leases });
      }
      await watching;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await this.#recorder.close();
    }
  }

  announceReady(signal: AbortSignal): Promise<void> {
    return this.#store.announceReady(signal);
  }

  lastContact(): number | undefined {
    return this.#store.lastContact();
  }

  trouble(): string | undefined {
    return this.#store.trouble?.();
  }

  leftOut(): ReadonlyMap<string, LeftOutReason> {
    return this.#store.leftOut();
  }

  fromMemory(): boolean {
    return this.#fromMemory;
  }

  #recalled(): Snapshot {
    const { snapshot } = this.#options.recall;
    if (snapshot === undefined) throw new FlannelError('bug', 'there is no last known state to go on with');
    this.#fromMemory = true;
    this.#leases = new Map(snapshot.leases);
    return snapshot;
  }

  #heardLately(): boolean {
    const { clock, recall } = this.#options;
    const last = this.#store.lastContact();
    return last !== undefined && clock.monotonic() - last < recall.patience;
  }

  #take(event: LeaseEvent): void {
    switch (event.type) {
      case 'reset':
        if (this.#fromMemory) this.#compare(event.leases);
        this.#leases = new Map(event.leases);
        this.#listed = true;
        break;
      case 'put':
        this.#leases.set(event.lease.name, event.lease);
        break;
      case 'delete':
        this.#leases.delete(event.name);
        break;
    }
    this.#recorder.changed();
  }

  /** The first list after a start from the record: what it says is now history. */
  #compare(leases: ReadonlyMap<string, Lease>): void {
    const { log, recall } = this.#options;
    this.#fromMemory = false;
    recall.forget();
    let [added, changed] = [0, 0];
    for (const lease of leases.values()) {
      const known = this.#leases.get(lease.name);
      if (known === undefined) added += 1;
      else if (!sameLease(known, lease)) changed += 1;
    }
    const removed = this.#leases.size + added - leases.size;
    log.info('the API server answers; the last known state is compared with it', { added, changed, removed });
  }

  /** The store has answered at last. */
  #compareOwn(record: OwnRecord): void {
    const own = this.#own;
    const same =
      own === undefined || (sameIn(own.subnets, record.subnets) && sameIn(own.publicIp, record.publicIp));
    if (!same) this.#changeOwn(record);
  }

  #changeOwn(record: OwnRecord): void {
    this.#own = record;
    // Without peers to go with it, it must not replace a record that has some.
    if (this.#listed || this.#fromMemory) this.#recorder.changed();
    // This run is over: the next one may have to start from the record.
    void this.#recorder.close();
    this.#options.onOwnChange(record);
  }

  #state(): Snapshot {
    const [own, published] = [this.#own, this.#attributes];
    if (own === undefined) throw new FlannelError('bug', 'nothing is known of this node yet');
    // What was published is what the next run has to publish again: the MAC above all.
    const { backendType, backendData } = published ?? own;
    return { own: { ...own, backendType, backendData }, leases: this.#leases };
  }
}

/** Keeps a rejection that somebody handles later, or that only says "stopped", from ending the process. */
function quiet(work: Promise<unknown>): void {
  work.catch(() => {});
}

function sameIn<T extends { equals(other: T): boolean }>(a: PerFamily<T>, b: PerFamily<T>): boolean {
  return FAMILIES.every((family) => {
    const [x, y] = [a[family], b[family]];
    return x === undefined || y === undefined ? x === y : x.equals(y);
  });
}
