import { expect, test } from 'bun:test';
import { systemClock } from './clock.ts';

test('sleeps at least as long as asked', async () => {
  const start = systemClock.monotonic();
  await systemClock.sleep(20);
  // Timers count whole milliseconds.
  expect(systemClock.monotonic() - start).toBeGreaterThanOrEqual(19);
});

test('an abort ends the sleep with its reason', async () => {
  const controller = new AbortController();
  const start = systemClock.monotonic();
  setTimeout(() => controller.abort(new Error('enough')), 5);
  expect(systemClock.sleep(60_000, controller.signal)).rejects.toThrow('enough');
  await systemClock.sleep(30);
  expect(systemClock.monotonic() - start).toBeLessThan(5000);
});

test('an abort before the sleep', () => {
  expect(systemClock.sleep(60_000, AbortSignal.abort(new Error('never')))).rejects.toThrow('never');
});

test('a sleep that ends leaves no listener on its signal', async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const counting = {
    aborted: false,
    addEventListener: (...args: Parameters<AbortSignal['addEventListener']>) => {
      listeners += 1;
      signal.addEventListener(...args);
    },
    removeEventListener: (...args: Parameters<AbortSignal['removeEventListener']>) => {
      listeners -= 1;
      signal.removeEventListener(...args);
    },
  };
  await systemClock.sleep(1, counting as unknown as AbortSignal);
  expect(listeners).toBe(0);
});

test('wall clock in milliseconds', () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000);
});
