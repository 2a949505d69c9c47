import { expect, test } from 'bun:test';
import { comparedConstants } from '../support/constants.ts';

test('every number of the wire is the one in the C headers', () => {
  const { ours, theirs } = comparedConstants({ arch: process.arch, compiler: ['gcc'] });
  expect(ours).toEqual(theirs);
  expect(ours.length).toBeGreaterThan(200);
});
