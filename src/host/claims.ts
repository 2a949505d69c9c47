import { entryKey, sameEntry, type Entry } from './plan.ts';

/** What a change of one peer does to the kernel. */
export interface EntryChange {
  readonly put: readonly Entry[];
  readonly remove: readonly Entry[];
}

/** A peer's entry that is not written because another peer claims the same place. */
export interface Conflict {
  readonly entry: Entry;
  readonly winner: string;
  readonly loser: string;
}

/** The entries that a group of changes has touched, each as it was before the first of them. */
type Before = Map<string, Entry | undefined>;

/** One owner and everything that it claims; nothing: `[]`. */
export type Wish = readonly [owner: string, wanted: readonly Entry[]];

/**
 * Who wants which kernel entry. Two Nodes with one pod subnet or one VTEP MAC claim one key: the first by name wins,
 * whatever the order of events, and the other takes over when the winner goes.
 *
 * Kept small, for clusters of thousands of nodes: one map of winners, one list per owner; who owns an entry that nobody
 * else wants is not written down but looked for, in the rare case that somebody does.
 */
export class Claims {
  readonly #byOwner = new Map<string, readonly Entry[]>();
  readonly #entries = new Map<string, Entry>();
  /** Keys with more than one claimant: all of them, the winner included. */
  readonly #contested = new Map<string, Map<string, Entry>>();

  /** The entries that should be in the kernel, by `entryKey`: a live view. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** What each owner claims, by owner: a live view. */
  get claimed(): ReadonlyMap<string, readonly Entry[]> {
    return this.#byOwner;
  }

  /** Replaces everything that `owner` claims; says what that changes. */
  set(owner: string, wanted: readonly Entry[]): EntryChange {
    return this.apply([[owner, wanted]]);
  }

  /** As `set` for several owners, one after another. What changed and changed back is not reported. */
  apply(wishes: Iterable<Wish>): EntryChange {
    const before: Before = new Map();
    for (const [owner, wanted] of wishes) this.#replace(owner, wanted, before);
    const put: Entry[] = [];
    const remove: Entry[] = [];
    for (const [key, was] of before) {
      const now = this.#entries.get(key);
      if (now === undefined) {
        // The kernel finds an FDB entry and a route by all their fields: these are the ones it has.
        if (was !== undefined) remove.push(was);
      } else if (was === undefined || !sameEntry(was, now)) put.push(now);
    }
    return { put, remove };
  }

  /** As `apply` without saying what changed: for the first list, when a full pass follows anyway. */
  load(wishes: Iterable<Wish>): void {
    for (const [owner, wanted] of wishes) this.#replace(owner, wanted, undefined);
  }

  /** Every claim that lost, for the log. */
  conflicts(): Conflict[] {
    const list: Conflict[] = [];
    for (const claimants of this.#contested.values()) {
      const winner = first(claimants);
      for (const [loser, entry] of claimants) if (loser !== winner) list.push({ entry, winner, loser });
    }
    return list;
  }

  /** Who claims entries with these keys; looks through everybody's. */
  ownersOf(keys: ReadonlySet<string>): string[] {
    const owners: string[] = [];
    for (const [owner, entries] of this.#byOwner)
      if (entries.some((entry) => keys.has(entryKey(entry)))) owners.push(owner);
    return owners;
  }

  #replace(owner: string, wanted: readonly Entry[], before: Before | undefined): void {
    const old = this.#byOwner.get(owner);
    if (old !== undefined) {
      const kept = new Set(wanted.map(entryKey));
      for (const entry of old) {
        const key = entryKey(entry);
        if (!kept.has(key)) this.#release(owner, { key, entry }, before);
      }
    }
    for (const entry of wanted) this.#claim(owner, { entry, old }, before);
    if (wanted.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, wanted);
  }

  #claim(
    owner: string,
    { entry, old }: { entry: Entry; old: readonly Entry[] | undefined },
    before: Before | undefined,
  ): void {
    const key = entryKey(entry);
    const there = this.#entries.get(key);
    const claimants = this.#contested.get(key);
    if (claimants === undefined) {
      // Free, or the owner's own already.
      if (there === undefined || old?.includes(there) === true) {
        this.#place(key, entry, before);
        return;
      }
      this.#contested.set(key, new Map([[this.#ownerOf(there), there]]));
    }
    const all = this.#contested.get(key);
    all?.set(owner, entry);
    if (all !== undefined) this.#place(key, all.get(first(all)), before);
  }

  #release(owner: string, { key, entry }: { key: string; entry: Entry }, before: Before | undefined): void {
    const claimants = this.#contested.get(key);
    if (claimants === undefined) {
      if (this.#entries.get(key) === entry) this.#place(key, undefined, before);
      return;
    }
    claimants.delete(owner);
    this.#place(key, claimants.get(first(claimants)), before);
    if (claimants.size === 1) this.#contested.delete(key);
  }

  #ownerOf(entry: Entry): string {
    for (const [owner, entries] of this.#byOwner) if (entries.includes(entry)) return owner;
    return '';
  }

  #place(key: string, entry: Entry | undefined, before: Before | undefined): void {
    if (before !== undefined && !before.has(key)) before.set(key, this.#entries.get(key));
    if (entry === undefined) this.#entries.delete(key);
    else this.#entries.set(key, entry);
  }
}

/** The first name by code units; empty for none. */
function first(claimants: ReadonlyMap<string, Entry>): string {
  let name: string | undefined;
  for (const candidate of claimants.keys()) if (name === undefined || candidate < name) name = candidate;
  return name ?? '';
}
