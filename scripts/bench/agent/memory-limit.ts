import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

const ROOT = '/sys/fs/cgroup/memory';

/** What the kernel charged, MiB, and how often it had to take something back at the limit. */
export interface Charged {
  readonly peakMiB: number;
  readonly reclaims: number;
  /** Page cache of the executable and of files is part of it. */
  readonly cacheMiB: number;
}

/** A memory cgroup (version 1) with a limit; without any effect where this machine lets us make none. */
export class MemoryLimit implements Disposable {
  readonly #path: string | undefined;

  constructor(megabytes: number) {
    const path = `${ROOT}/flannel-bench-${process.pid}`;
    try {
      mkdirSync(path);
      writeFileSync(`${path}/memory.limit_in_bytes`, String(megabytes * 1024 * 1024));
      this.#path = path;
    } catch {
      console.log(`(no memory cgroup here: the limit of ${megabytes} MiB is not tried)`);
    }
  }

  /** Starts a process in it: by being there itself for a moment, so that not one page is charged elsewhere. */
  within<T>(start: () => T): T {
    if (this.#path === undefined) return start();
    writeFileSync(`${this.#path}/memory.max_usage_in_bytes`, '0');
    writeFileSync(`${this.#path}/cgroup.procs`, String(process.pid));
    try {
      return start();
    } finally {
      writeFileSync(`${ROOT}/cgroup.procs`, String(process.pid));
    }
  }

  charged(): Charged | undefined {
    const path = this.#path;
    if (path === undefined) return undefined;
    const read = (name: string) => readFileSync(`${path}/memory.${name}`, 'utf8');
    return {
      peakMiB: Number(read('max_usage_in_bytes')) / 1048576,
      reclaims: Number(read('failcnt')),
      cacheMiB: Number(/^cache (\d+)/m.exec(read('stat'))?.[1]) / 1048576,
    };
  }

  [Symbol.dispose](): void {
    if (this.#path !== undefined) rmdirSync(this.#path);
  }
}
