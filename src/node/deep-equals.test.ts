import { expect, test } from 'bun:test';
import { deepEquals } from './deep-equals.ts';

const VALUES: readonly unknown[] = [
  undefined,
  null,
  0,
  -0,
  1,
  1n,
  '',
  'a',
  true,
  [],
  [1],
  [1, 2],
  [[1]],
  {},
  { a: undefined },
  { a: 1 },
  { a: 1, b: undefined },
  { b: 1, a: { c: [1n] } },
  { a: { c: [1n] }, b: 1 },
  new Uint8Array(),
  Uint8Array.of(1, 2),
  Uint8Array.of(1, 3),
  new Uint8Array([0, 1, 2]).subarray(1),
  { bytes: Uint8Array.of(1) },
];

test('the same verdicts as Bun.deepEquals', () => {
  for (const a of VALUES)
    for (const b of VALUES) expect([a, b, deepEquals(a, b)]).toEqual([a, b, Bun.deepEquals(a, b)]);
});
