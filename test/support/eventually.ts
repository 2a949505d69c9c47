/** Repeats `check` until it no longer throws, at most `ms`; returns what it returned. The last error is thrown. */
export async function eventually<T>(check: () => T | Promise<T>, ms = 5000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await Bun.sleep(15);
  }
}

/** As `eventually`; returns how long it took, ms. */
export async function timeUntil(check: () => unknown, ms = 5000): Promise<number> {
  const start = performance.now();
  await eventually(check, ms);
  return performance.now() - start;
}
