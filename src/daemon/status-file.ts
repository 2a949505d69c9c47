import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { VERSION } from '#base/version.ts';
import type { Readiness } from './health.ts';

/**
 * `/run/flannel/status.json`: what the CNI plugin tells its caller while `subnet.env` is missing. Written on every change
 * of readiness; lives in /run, so a file of an earlier boot cannot be mistaken for this one's.
 */
export class StatusFile {
  readonly #path: string;
  #last = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** Writes when something changed. Throws what the file system says. */
  update(readiness: Readiness): void {
    const text = `${JSON.stringify({ ...readiness, pid: process.pid, version: VERSION })}\n`;
    if (text === this.#last) return;
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.tmp`;
    writeFileSync(temporary, text, { mode: 0o644 });
    renameSync(temporary, this.#path);
    this.#last = text;
  }
}
