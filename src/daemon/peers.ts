import type { Logger } from '#base/log.ts';
import type { Backend, PeerFacts } from '#backend/backend.ts';
import { Claims, type Conflict, type EntryChange, type Wish } from '#host/claims.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Lease, LeftOutReason } from '#subnet/lease.ts';
import type { LeaseEvent } from '#subnet/manager.ts';

/** Turns lease events into claims on kernel entries. Says once, not for every event, why a peer is left out. */
export class Peers {
  readonly claims = new Claims();
  readonly #backend: Backend;
  readonly #log: Logger;
  readonly #complaints = new Map<string, string>();
  readonly #reasons = new Map<string, LeftOutReason>();
  #conflicts: ReadonlySet<string> = new Set();
  readonly #names = new Set<string>();
  /** Kept only where the plan of a peer may change without its lease. */
  readonly #leases = new Map<string, Lease>();
  readonly #unreachable = new Map<string, readonly Cidr[]>();
  #unreachableList: readonly Cidr[] | undefined;
  #revision = 0;

  /** What the backend's commands are told of each peer. */
  readonly #onFacts: (name: string, facts: PeerFacts | undefined) => void;

  constructor(
    backend: Backend,
    log: Logger,
    onFacts: (name: string, facts: PeerFacts | undefined) => void = () => {},
  ) {
    this.#backend = backend;
    this.#log = log;
    this.#onFacts = onFacts;
  }

  /** Peers known, left-out ones included. */
  get size(): number {
    return this.#names.size;
  }

  /** Peers that are left out, wholly or in one family. */
  get leftOut(): number {
    return this.#complaints.size;
  }

  /** Subnets of peers that packets must not be sent to; another list whenever they have changed. */
  get unreachable(): readonly Cidr[] {
    return (this.#unreachableList ??= [...this.#unreachable.values()].flat());
  }

  /** What the host's routes change, for a backend that asks them. */
  again(): EntryChange {
    const change = this.claims.apply([...this.#leases.values()].map((lease) => this.#put(lease)));
    this.#reportConflicts();
    return change;
  }

  /** Grows with every change of a peer. */
  get revision(): number {
    return this.#revision;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** Why peers are left out, wholly or in one family; the first reason of several. */
  get reasons(): ReadonlyMap<string, LeftOutReason> {
    return this.#reasons;
  }

  /** The same in words, every family that is left out. */
  get complaints(): ReadonlyMap<string, string> {
    return this.#complaints;
  }

  /** What the events, taken together, change in the kernel. */
  take(events: readonly LeaseEvent[]): EntryChange {
    const change = this.claims.apply(this.#wishes(events));
    this.#reportConflicts();
    return change;
  }

  /** As `take` without the answer: before the first full pass, which looks for itself. */
  load(events: readonly LeaseEvent[]): void {
    this.claims.load(this.#wishes(events));
    this.#reportConflicts();
  }

  /** One after another, so that thousands of leases need not be planned before the first is claimed. */
  *#wishes(events: readonly LeaseEvent[]): Generator<Wish> {
    for (const event of events) {
      switch (event.type) {
        case 'reset': {
          const gone = [...this.#names].filter((name) => !event.leases.has(name));
          for (const name of gone) yield this.#drop(name);
          for (const lease of event.leases.values()) yield this.#put(lease);
          break;
        }
        case 'put':
          yield this.#put(event.lease);
          break;
        case 'delete':
          yield this.#drop(event.name);
          break;
      }
    }
  }

  #put(lease: Lease): Wish {
    this.#revision += 1;
    this.#names.add(lease.name);
    if (this.#backend.asksRoutes === true) this.#leases.set(lease.name, lease);
    const { entries, rejected, unreachable = [], facts } = this.#backend.peer(lease);
    this.#onFacts(lease.name, facts);
    this.#setUnreachable(lease.name, unreachable);
    const complaint = rejected.map(({ family, reason }) => `${family}: ${reason}`).join('; ');
    const [first] = rejected;
    if (first === undefined) this.#reasons.delete(lease.name);
    else this.#reasons.set(lease.name, first.kind);
    if (complaint === '') this.#complaints.delete(lease.name);
    else if (this.#complaints.get(lease.name) !== complaint) {
      this.#complaints.set(lease.name, complaint);
      this.#log.warn('peer is left out', { peer: lease.name, reason: complaint });
    }
    return [lease.name, entries];
  }

  #drop(name: string): Wish {
    this.#revision += 1;
    this.#names.delete(name);
    this.#leases.delete(name);
    this.#setUnreachable(name, []);
    this.#onFacts(name, undefined);
    this.#complaints.delete(name);
    this.#reasons.delete(name);
    return [name, []];
  }

  #setUnreachable(name: string, subnets: readonly Cidr[]): void {
    const before = this.#unreachable.get(name) ?? [];
    if (String(before) === String(subnets)) return;
    if (subnets.length === 0) this.#unreachable.delete(name);
    else this.#unreachable.set(name, subnets);
    this.#unreachableList = undefined;
  }

  /** One line per pair of peers and kind of quarrel, when it begins. */
  #reportConflicts(): void {
    const now = new Map<string, Conflict>();
    for (const conflict of this.claims.conflicts()) {
      const { entry, winner, loser } = conflict;
      const key = `${winner} ${loser} ${entry.type === 'fdb' ? 'mac' : 'subnet'}`;
      // The route says more than the neighbour that comes with it.
      if (!now.has(key) || entry.type === 'route') now.set(key, conflict);
    }
    for (const [key, { entry, winner, loser }] of now) {
      if (this.#conflicts.has(key)) continue;
      const what =
        entry.type === 'fdb'
          ? `VTEP MAC ${entry.mac}`
          : `pod subnet ${entry.type === 'route' ? entry.dst : entry.ip}`;
      this.#log.warn('two peers claim the same thing; the first by name keeps it', { what, winner, loser });
    }
    this.#conflicts = new Set(now.keys());
  }
}
