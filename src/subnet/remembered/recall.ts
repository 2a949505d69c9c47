import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Snapshot, SnapshotOwner } from './snapshot.ts';
import { readSnapshot } from './snapshot-file.ts';

export interface RecallOptions {
  readonly path: string;
  readonly owner: SnapshotOwner;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long the store may take to answer before the record is looked at, ms. */
  readonly patience: number;
}

export interface Patience {
  /** True while the store is known to answer: waiting goes on. */
  readonly answers: () => boolean;
  readonly signal: AbortSignal;
}

/** Decides, once per run, to go on with the record of an earlier one: when the store does not answer and it is usable. */
export class Recall {
  readonly patience: number;
  readonly #options: RecallOptions;
  #snapshot: Snapshot | undefined;
  #looked = false;

  constructor(options: RecallOptions) {
    this.#options = options;
    this.patience = options.patience;
  }

  /** The record, once we go on with it. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** The store has told everything: the record's memory can be freed. */
  forget(): void {
    this.#snapshot = undefined;
  }

  /**
   * What `work` resolves to; undefined when it takes too long and there is a record to go on with. After the first such
   * answer nothing is waited for any more. Rejects as `work` does.
   */
  async patient<T>(work: Promise<T>, { answers, signal }: Patience): Promise<{ value: T } | undefined> {
    const { clock } = this.#options;
    const done = work.then((value) => ({ value }));
    if (this.#snapshot !== undefined) return Promise.race([done, settle()]);
    const stop = new AbortController();
    const wait = async (): Promise<undefined> => {
      do await clock.sleep(this.patience, AbortSignal.any([signal, stop.signal]));
      while (answers());
      await this.#look();
      return undefined;
    };
    try {
      const first = await Promise.race([done, wait()]);
      return first ?? (this.#snapshot === undefined ? await done : undefined);
    } finally {
      stop.abort();
    }
  }

  async #look(): Promise<void> {
    if (this.#looked) return;
    this.#looked = true;
    const { path, owner, log } = this.#options;
    const read = await readSnapshot(path, owner);
    if (read.snapshot !== undefined) {
      this.#snapshot = read.snapshot;
      const { own, leases } = read.snapshot;
      log.warn('the API server does not answer; going on with the last known state', {
        file: path,
        node: own.name,
        ...own.subnets,
        peers: leases.size,
      });
      return;
    }
    const { reason, missing } = read;
    if (missing)
      log.info('the API server does not answer, and there is no last known state: waiting', { file: path });
    else
      log.warn('the API server does not answer, and the last known state cannot be used: waiting', {
        file: path,
        reason,
      });
  }
}

/** Lets what is already decided come first. */
async function settle(): Promise<undefined> {
  await Promise.resolve();
  await Promise.resolve();
  return undefined;
}
