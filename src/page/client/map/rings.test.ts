import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { overlaps, type Box } from './geometry.ts';
import { placeOnRings } from './rings.ts';

const OPTIONS = { aspect: 1.7, gap: 20, inner: 40 };
const size = fc.record({ w: fc.integer({ min: 1, max: 400 }), h: fc.integer({ min: 1, max: 300 }) });

function expectApart(boxes: readonly Box[]): void {
  boxes.forEach((a, i) => {
    expect(Number.isFinite(a.x) && Number.isFinite(a.y)).toBe(true);
    for (const b of boxes.slice(i + 1)) expect(overlaps(a, b)).toBe(false);
  });
}

test('no two overlap, nor does one the core, whatever their number and sizes', () => {
  fc.assert(
    fc.property(fc.array(size, { maxLength: 70 }), size, (sizes, core) => {
      const boxes = placeOnRings(sizes, core, OPTIONS);
      expect(boxes.map(({ w, h }) => ({ w, h }))).toEqual(sizes);
      expectApart([{ x: -core.w / 2, y: -core.h / 2, ...core }, ...boxes]);
    }),
    { numRuns: 60 },
  );
});

test('three stand around it, the first at the top', () => {
  const [first, ...others] = placeOnRings(
    Array.from({ length: 3 }, () => ({ w: 100, h: 40 })),
    { w: 200, h: 100 },
    OPTIONS,
  );
  expect(first?.x).toBeCloseTo(-50);
  expect(first?.y).toBeLessThan(-50);
  for (const other of others) expect(other.y).toBeGreaterThan(0);
});

test('many are on several rings: the whole stays small', () => {
  const boxes = placeOnRings(
    Array.from({ length: 60 }, () => ({ w: 120, h: 80 })),
    { w: 300, h: 200 },
    OPTIONS,
  );
  const furthest = Math.max(...boxes.map(({ y }) => Math.abs(y)));
  expect(furthest).toBeLessThan(900);
});
