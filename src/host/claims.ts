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

/** The entries that a group of changes has touched, each as it was before the first of them. */
type Before = Map<string, Entry | undefined>;

/**
 * Who wants which kernel entry. Two Nodes with one pod subnet or one VTEP MAC claim one key: the first by name wins,
 * whatever the order of events, and the other takes over when the winner goes.
 */
export class Claims {
  readonly #claims = new Map<string, Claim>();
  readonly #byOwner = new Map<string, readonly Entry[]>();
  readonly #entries = new Map<string, Entry>();
  /** Keys with more than one claimant. */
  readonly #contested = new Set<string>();

  /** The entries that should be in the kernel, by `entryKey`: a live view. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** Replaces everything that `owner` claims (nothing: `[]`); says what that changes. */
  set(owner: string, wanted: readonly Entry[]): EntryChange {
    return this.apply([[owner, wanted]]);
  }

  /** As `set` for several owners, one after another. What changed and changed back is not reported. */
  apply(claims: Iterable<readonly [owner: string, wanted: readonly Entry[]]>): EntryChange {
    const before: Before = new Map();
    for (const [owner, wanted] of claims) this.#replace(owner, wanted, before);
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

  /** Every claim that lost, for the log. */
  conflicts(): Conflict[] {
    const list: Conflict[] = [];
    for (const key of this.#contested) {
      const claim = this.#claims.get(key);
      for (const [loser, entry] of claim?.others ?? []) {
        list.push({ entry, winner: claim?.owner ?? '', loser });
      }
    }
    return list;
  }

  #replace(owner: string, wanted: readonly Entry[], before: Before): void {
    const wantedKeys = new Set(wanted.map(entryKey));
    for (const entry of this.#byOwner.get(owner) ?? []) {
      const key = entryKey(entry);
      if (!wantedKeys.has(key)) this.#release(owner, key, before);
    }
    for (const entry of wanted) this.#claim(owner, entry, before);
    if (wanted.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, wanted);
  }

  #claim(owner: string, entry: Entry, before: Before): void {
    const key = entryKey(entry);
    const claim = this.#claims.get(key);
    if (claim === undefined) {
      this.#claims.set(key, { owner, entry });
      this.#place(key, entry, before);
      return;
    }
    if (claim.owner < owner) {
      this.#othersOf(key, claim).set(owner, entry);
      return;
    }
    if (claim.owner !== owner) {
      const others = this.#othersOf(key, claim);
      others.delete(owner);
      others.set(claim.owner, claim.entry);
    }
    claim.owner = owner;
    claim.entry = entry;
    this.#place(key, entry, before);
  }

  #release(owner: string, key: string, before: Before): void {
    const claim = this.#claims.get(key);
    if (claim === undefined) return;
    if (claim.owner !== owner) {
      this.#dropOther(key, claim, owner);
      return;
    }
    const next = [...(claim.others ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))[0];
    if (next === undefined) {
      this.#claims.delete(key);
      this.#place(key, undefined, before);
      return;
    }
    const [heir, entry] = next;
    this.#dropOther(key, claim, heir);
    claim.owner = heir;
    claim.entry = entry;
    this.#place(key, entry, before);
  }

  #othersOf(key: string, claim: Claim): Map<string, Entry> {
    claim.others ??= new Map();
    this.#contested.add(key);
    return claim.others;
  }

  #dropOther(key: string, claim: Claim, owner: string): void {
    claim.others?.delete(owner);
    if (claim.others?.size !== 0) return;
    delete claim.others;
    this.#contested.delete(key);
  }

  #place(key: string, entry: Entry | undefined, before: Before): void {
    if (!before.has(key)) before.set(key, this.#entries.get(key));
    if (entry === undefined) this.#entries.delete(key);
    else this.#entries.set(key, entry);
  }
}
