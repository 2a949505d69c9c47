import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '#base/clock.ts';

/** Least time between two writes that tell nothing new of readiness, ms. */
const PERIOD = 1000;

/** What is to be in the file. */
export interface StatusContent {
  /** Another text is told at once: the CNI plugin goes by it. */
  readonly urgent: string;
  /** Another text is told at the next opportunity. */
  readonly status: Record<string, unknown>;
  /** Passes by itself: a change of it alone is no reason to write. */
  readonly passing: Record<string, unknown>;
}

/**
 * `/run/flannel/status.json` (docs/status.md): for the CNI plugin and for people. Written only when something has changed, mostly at
 * most once a second; lives in /run, so a file of an earlier boot cannot be mistaken for this one's.
 */
export class StatusFile {
  readonly #path: string;
  readonly #clock: Clock;
  #status = '';
  #urgent: string | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** True when it was written. Throws what the file system says. */
  update({ urgent, status, passing }: StatusContent): boolean {
    const now = this.#clock.monotonic();
    if (urgent === this.#urgent && now - this.#writtenAt < PERIOD) return false;
    const text = JSON.stringify(status);
    if (text === this.#status) return false;
    const writtenAt = new Date(this.#clock.now()).toISOString();
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.tmp`;
    writeFileSync(temporary, `${JSON.stringify({ ...status, ...passing, writtenAt })}\n`, { mode: 0o644 });
    renameSync(temporary, this.#path);
    this.#status = text;
    this.#urgent = urgent;
    this.#writtenAt = now;
    return true;
  }
}
