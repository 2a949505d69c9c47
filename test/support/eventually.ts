/**
 * What happens at once, and not when a period is over, takes less than this, ms. It is a matter of milliseconds; the bound is
 * for a machine that is busy with something else, and well below the period of the agent's full pass, which is 30 s.
 */
export const AT_ONCE = 8000;
/** How long is waited for what must come, ms: a failure takes longer, a success does not. */
const PATIENCE = 30_000;

/** Repeats `check` until it no longer throws, at most `ms`; returns what it returned. The last error is thrown. */
export async function eventually<T>(check: () => T | Promise<T>, ms = PATIENCE): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const late = performance.now() > end;
    try {
      return await check();
    } catch (error) {
      if (late) throw error;
    }
    await Bun.sleep(15);
  }
}

/** As `eventually`; returns how long it took, ms. */
export async function timeUntil(check: () => unknown, ms = PATIENCE): Promise<number> {
  const start = performance.now();
  await eventually(check, ms);
  return performance.now() - start;
}
