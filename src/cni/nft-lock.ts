import { lockExclusive } from '#ffi/file.ts';
import { closeFile, O, openFile } from '#ffi/file-system.ts';
import { retried } from '#nftables/attempt.ts';

/** Beside xtables.lock, which does for iptables what this does for our own calls. */
const PATH = '/run/cni-nftables.lock';

/**
 * Runs `work`, which reads a table that all containers share and writes by what it has read, one call at a time. Without it
 * hundreds of calls at once keep each other from ever reading a table that stays the same. Where /run cannot be
 * written, the retries of the caller have to do.
 */
export function withNftLock<T>(work: () => T): T {
  let lock: number | undefined;
  try {
    lock = openFile(PATH, O.WRONLY | O.CREAT, 0o600);
    lockExclusive(lock);
  } catch {
    // Read-only or no /run: go on without.
  }
  try {
    return work();
  } finally {
    if (lock !== undefined) closeFile(lock);
  }
}

/** `work` under the lock, and again when another program has changed meanwhile what it has read. */
export function inTurn<T>(work: () => T): T {
  return withNftLock(() => retried(work));
}
