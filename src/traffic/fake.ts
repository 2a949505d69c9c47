import { differences } from '#nftables/compare.ts';
import type { Table } from '#nftables/objects.ts';
import { flannelTables } from './nftables-table.ts';
import type { Ensured, Removed, TrafficBackend } from './port.ts';
import type { RuleSet } from './rules.ts';

/**
 * A traffic backend without a kernel, for tests: it keeps tables by name. Tests may change `tables` as another program
 * would, and must then call `touch`.
 */
export class FakeTraffic implements TrafficBackend {
  readonly mode = 'nftables';
  /** What is there, by table name; tables of others may be put in. */
  readonly tables = new Map<string, Table>();
  /** How often `ensure` had to write. */
  writes = 0;
  /** Thrown by the next call, once. */
  failure: Error | undefined;
  readonly #watchers = new Set<() => void>();

  async ensure(rules: RuleSet, signal?: AbortSignal): Promise<Ensured> {
    this.#begin(signal);
    const repaired: string[] = [];
    for (const wanted of flannelTables(rules)) {
      const found = this.#differences(wanted);
      if (found.length === 0) continue;
      this.tables.set(wanted.name, wanted);
      repaired.push(...found);
    }
    if (repaired.length > 0) {
      this.writes += 1;
      this.touch();
    }
    return { changed: repaired.length > 0, repaired };
  }

  async compare(rules: RuleSet, signal?: AbortSignal): Promise<readonly string[]> {
    this.#begin(signal);
    return flannelTables(rules).flatMap((wanted) => this.#differences(wanted));
  }

  #differences(wanted: Table): string[] {
    const found = differences(wanted, this.tables.get(wanted.name));
    return found.map((what) => `table ${wanted.family} ${wanted.name}: ${what}`);
  }

  async traces(signal?: AbortSignal): Promise<readonly string[]> {
    this.#begin(signal);
    const ours = flannelTables({ families: [] }).filter(({ name }) => this.tables.has(name));
    return ours.map(({ family, name }) => `table ${family} ${name}`);
  }

  async clear(signal?: AbortSignal): Promise<Removed> {
    this.#begin(signal);
    const ours = flannelTables({ families: [] }).filter(({ name }) => this.tables.delete(name));
    if (ours.length > 0) this.touch();
    return { removed: ours.map(({ family, name }) => `table ${family} ${name}`) };
  }

  watch(onDirty: () => void): Disposable {
    this.#watchers.add(onDirty);
    return { [Symbol.dispose]: () => void this.#watchers.delete(onDirty) };
  }

  /** Tells the watchers, as the kernel does after every change. */
  touch(): void {
    for (const watcher of this.#watchers) watcher();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watchers.clear();
  }

  #begin(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }
}
