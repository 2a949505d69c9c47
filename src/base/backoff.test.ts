import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { Backoff } from './backoff.ts';

const take = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

test('doubles up to the maximum', () => {
  // With random = 0 the delay is the lower end of its range: half of d.
  const backoff = new Backoff({ initial: 100, max: 1000, random: () => 0 });
  expect(take(backoff, 6)).toEqual([50, 100, 200, 400, 500, 500]);
});

test('begins anew after a success', () => {
  const backoff = new Backoff({ initial: 100, max: 1000, random: () => 0 });
  take(backoff, 5);
  backoff.reset();
  expect(backoff.next()).toBe(50);
});

test('every delay lies in [d/2, d), however long it goes on', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.999999, noNaN: true }), (random) => {
      const backoff = new Backoff({ initial: 250, max: 30_000, random: () => random });
      for (const [attempt, delay] of take(backoff, 100).entries()) {
        const d = Math.min(30_000, 250 * 2 ** attempt);
        expect(delay).toBeGreaterThanOrEqual(d / 2);
        expect(delay).toBeLessThan(d);
      }
    }),
    { numRuns: 20 },
  );
});
