/** Asks every `pause` ms until `test` says yes. */
export async function until(
  what: string,
  test: () => boolean | Promise<boolean>,
  { timeout = 60_000, pause = 2 }: { readonly timeout?: number; readonly pause?: number } = {},
): Promise<void> {
  const end = performance.now() + timeout;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeout} ms`);
    await Bun.sleep(pause);
  }
}
