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

interface Claim {
  owner: string;
  entry: Entry;
  /** Further claimants; rare, so the map is made only then. */
  others?: Map<string, Entry>;
}

/**
 * Who wants which kernel entry. Two Nodes with one pod subnet or one VTEP MAC claim one key: the first by name wins,
 * whatever the order of events, and the other takes over when the winner goes.
 */
export class Claims {
  readonly #claims = new Map<string, Claim>();
  readonly #byOwner = new Map<string, readonly Entry[]>();
  readonly #entries = new Map<string, Entry>();

  /** The entries that should be in the kernel, by `entryKey`: a live view. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  get owners(): ReadonlyMap<string, readonly Entry[]> {
    return this.#byOwner;
  }

  /** Replaces everything that `owner` claims (nothing: `[]`); says what that changes. */
  set(owner: string, wanted: readonly Entry[]): EntryChange {
    const put: Entry[] = [];
    const remove: Entry[] = [];
    const wantedKeys = new Set(wanted.map(entryKey));
    for (const entry of this.#byOwner.get(owner) ?? []) {
      const key = entryKey(entry);
      if (!wantedKeys.has(key)) this.#release(owner, key, { put, remove });
    }
    for (const entry of wanted) this.#claim(owner, entry, put);
    if (wanted.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, wanted);
    return { put, remove };
  }

  /** Every claim that lost, for the log. */
  conflicts(): Conflict[] {
    const list: Conflict[] = [];
    for (const claim of this.#claims.values()) {
      for (const [loser, entry] of claim.others ?? []) list.push({ entry, winner: claim.owner, loser });
    }
    return list;
  }

  #claim(owner: string, entry: Entry, put: Entry[]): void {
    const key = entryKey(entry);
    const claim = this.#claims.get(key);
    if (claim === undefined) {
      this.#claims.set(key, { owner, entry });
      this.#entries.set(key, entry);
      put.push(entry);
      return;
    }
    if (claim.owner === owner) {
      if (sameEntry(claim.entry, entry)) return;
    } else if (claim.owner < owner) {
      claim.others ??= new Map();
      claim.others.set(owner, entry);
      return;
    } else {
      claim.others ??= new Map();
      claim.others.delete(owner);
      claim.others.set(claim.owner, claim.entry);
    }
    claim.owner = owner;
    claim.entry = entry;
    this.#entries.set(key, entry);
    put.push(entry);
  }

  #release(owner: string, key: string, change: { put: Entry[]; remove: Entry[] }): void {
    const claim = this.#claims.get(key);
    if (claim === undefined) return;
    if (claim.owner !== owner) {
      claim.others?.delete(owner);
      if (claim.others?.size === 0) delete claim.others;
      return;
    }
    const next = [...(claim.others ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))[0];
    if (next === undefined) {
      this.#claims.delete(key);
      this.#entries.delete(key);
      change.remove.push(claim.entry);
      return;
    }
    const [heir, entry] = next;
    claim.others?.delete(heir);
    if (claim.others?.size === 0) delete claim.others;
    claim.owner = heir;
    claim.entry = entry;
    this.#entries.set(key, entry);
    change.put.push(entry);
  }
}
