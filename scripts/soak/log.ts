import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import type { SoakNode } from './node.ts';

/** What the kernel shows already may stand in the log a little later, ms. */
const PATIENCE = 3000;
const POLL = 40;

/**
 * Waits until the agent of `node` has written a line that matches `pattern`, behind `from` (a size of its log that was
 * taken before). Throws FlannelError when it has not.
 */
export async function saidBy(node: SoakNode, pattern: string, from = 0): Promise<void> {
  const wanted = new RegExp(pattern, 'm');
  const start = performance.now();
  for (;;) {
    if (wanted.test(node.agent?.logSince(from) ?? '')) return;
    if (performance.now() - start > PATIENCE)
      throw new FlannelError('bug', `flanneld of ${node.name} does not say ${pattern}`);
    await systemClock.sleep(POLL);
  }
}
