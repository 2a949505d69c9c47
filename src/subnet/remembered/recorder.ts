import type { Clock } from '#base/clock.ts';
import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Snapshot, SnapshotOwner } from './snapshot.ts';
import { writeSnapshot } from './snapshot-file.ts';

export interface RecorderOptions {
  readonly path: string;
  readonly owner: SnapshotOwner;
  /** The state as it is now. */
  readonly state: () => Snapshot;
  readonly clock: Clock;
  readonly log: Logger;
  /** Least time between two writes, ms; the first one after a quiet time comes after a tenth of it. */
  readonly interval: number;
}

/** Writes the snapshot when something has changed, seldom, and once more at the end. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #stop = new AbortController();
  #changed = false;
  #running: Promise<void> | undefined;
  #complaint = '';

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Something is no longer as written. */
  changed(): void {
    this.#changed = true;
    this.#running ??= this.#run();
  }

  /** Writes what is not written yet. Never rejects. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.#write();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { clock, interval } = this.#options;
    const { signal } = this.#stop;
    try {
      await clock.sleep(interval / 10, signal);
      do {
        await this.#write();
        await clock.sleep(interval, signal);
      } while (this.#changed);
      // A change after a quiet time need not wait for long.
      this.#running = undefined;
    } catch {
      // Closed: `close` does the rest.
    }
  }

  async #write(): Promise<void> {
    if (!this.#changed) return;
    const { path, owner, state, log, clock } = this.#options;
    this.#changed = false;
    const started = clock.monotonic();
    try {
      const { own, leases } = state();
      const bytes = await writeSnapshot(path, owner, { own, leases });
      const ms = Math.round(clock.monotonic() - started);
      log.debug('last known state written', { file: path, peers: leases.size, bytes, ms });
      this.#complaint = '';
    } catch (error) {
      this.#changed = true;
      const text = describe(error);
      if (text !== this.#complaint)
        log.warn(
          'the last known state cannot be written; a start without the API server will not be possible',
          {
            file: path,
            error: text,
          },
        );
      this.#complaint = text;
    }
  }
}
