import type { FlannelError } from '#base/errors.ts';
import type { RuleSet, TrafficMode } from './rules.ts';

/** What `ensure` did. */
export interface Ensured {
  /** False when everything was in place and nothing was written. */
  readonly changed: boolean;
  /** One phrase per difference that was found and mended, e.g. `table ip flannel-ipv4: chain forward is missing`. */
  readonly repaired: readonly string[];
  /** Why one family's rules are not in place while those of another were mended. */
  readonly failure?: FlannelError;
}

/** Where a node's traffic rules are kept. One writer at a time. */
export interface TrafficBackend extends AsyncDisposable {
  readonly mode: TrafficMode;
  /** The program that writes the rules and why this one, for the log; known after the first call. */
  readonly program?: string | undefined;
  /**
   * Makes the kernel's rules those of `rules`: reads, compares as ordered lists, writes what differs, atomically per
   * table, nothing when equal. Rules of other programs are never touched. Families are independent of each
   * other. Throws FlannelError when nothing could be mended.
   */
  ensure(rules: RuleSet, signal?: AbortSignal): Promise<Ensured>;
  /** What `ensure` would find and mend, in the same words; writes nothing. Throws FlannelError when it cannot be read. */
  compare(rules: RuleSet, signal?: AbortSignal): Promise<readonly string[]>;
  /** Chains of others that drop forwarded packets of pods whatever our rules accept; see `forwardDrops`. Throws nothing. */
  drops?(rules: RuleSet): readonly string[];
  /** What `clear` would remove, in the same words; writes nothing. */
  traces(signal?: AbortSignal): Promise<readonly string[]>;
  /** Removes everything that `ensure` may have written and nothing else; says what there was. */
  clear(signal?: AbortSignal): Promise<Removed>;
  /** Calls `onDirty` when somebody (we too) touched our rules; undefined where the kernel gives no such notice. */
  watch?(onDirty: () => void): Disposable;
}

export interface Removed {
  readonly removed: readonly string[];
}
