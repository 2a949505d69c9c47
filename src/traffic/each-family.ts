import { FlannelError } from '#base/errors.ts';
import type { Ensured } from './port.ts';

/**
 * Makes the rules of each family by itself: what keeps one from being written does not hold up the other. `ensure` returns what
 * it mended. Throws the first failure when nothing was mended beside it.
 */
export async function ensureEach<T>(
  families: readonly T[],
  ensure: (family: T) => readonly string[] | Promise<readonly string[]>,
  signal: AbortSignal | undefined,
): Promise<Ensured> {
  const repaired: string[] = [];
  const failures: FlannelError[] = [];
  for (const family of families) {
    signal?.throwIfAborted();
    try {
      repaired.push(...(await ensure(family)));
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof FlannelError)) throw error;
      failures.push(error);
    }
  }
  const [failure] = failures;
  if (failure === undefined) return { changed: repaired.length > 0, repaired };
  if (repaired.length === 0) throw failure;
  return { changed: true, repaired, failure };
}
