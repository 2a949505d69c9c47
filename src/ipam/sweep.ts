import { describe, isNotFound } from '#base/errors.ts';
import { isIdentifier } from '#base/identifier.ts';
import { readDirectory } from '#ffi/file-system.ts';
import { Store, type Leftover } from './store.ts';

/** What became of one network's reservations. */
export interface Swept {
  readonly network: string;
  readonly freed: readonly Leftover[];
  /** Why it could not be done; `busy` when a plugin had the lock. */
  readonly problem: string | undefined;
}

/**
 * Frees the reservations below `root` (a folder per network) whose container is certainly gone: of an earlier boot, or
 * with a namespace that is no more. Networks with nothing to do are left out, and their lock is not taken.
 */
export function sweepReservations(root: string, bootId: string): Swept[] {
  const swept: Swept[] = [];
  for (const network of networks(root)) {
    const result = sweepNetwork(`${root}/${network}`, bootId);
    if (result.problem !== undefined || result.freed.length > 0) swept.push({ network, ...result });
  }
  return swept;
}

function sweepNetwork(dir: string, bootId: string): Omit<Swept, 'network'> {
  const freed: Leftover[] = [];
  try {
    if (Store.peek(dir, bootId).length === 0) return { freed, problem: undefined };
    using store = Store.tryOpen(dir, bootId);
    if (store === undefined) return { freed, problem: 'busy' };
    for (const leftover of store.leftovers()) {
      store.free(leftover.ip);
      freed.push(leftover);
    }
    return { freed, problem: undefined };
  } catch (error) {
    return { freed, problem: isNotFound(error) ? undefined : describe(error) };
  }
}

/** Names of the networks below `root` that have reservations, or may have; none when there is no such folder. */
export function networks(root: string): string[] {
  try {
    return readDirectory(root).filter(isIdentifier);
  } catch {
    // No plugin has reserved anything here yet, or the folder is not visible from here.
    return [];
  }
}
