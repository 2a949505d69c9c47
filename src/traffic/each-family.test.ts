import { expect, test } from 'bun:test';
import { FlannelError } from '#base/errors.ts';
import { ensureEach } from './each-family.ts';

const failure = new FlannelError('kernel', 'refused');
const fail = (): never => {
  throw failure;
};

test('one family that fails does not hold up the other, in any order', async () => {
  for (const families of [
    ['good', 'bad'],
    ['bad', 'good'],
  ]) {
    const ensure = (family: string) => (family === 'bad' ? fail() : ['mended']);
    expect(await ensureEach(families, ensure, undefined)).toEqual({
      changed: true,
      repaired: ['mended'],
      failure,
    });
  }
});

test('a failure with nothing mended is thrown, faults of the program always', async () => {
  const thrown = (run: Promise<unknown>) => run.catch((error: unknown) => error);
  const sound = (family: number) => (family === 1 ? fail() : []);
  expect(await thrown(ensureEach([1, 2], sound, undefined))).toBe(failure);
  const bug = new TypeError('no');
  expect(await thrown(ensureEach([1], () => Promise.reject(bug), undefined))).toBe(bug);
});

test('aborted on the way, the rest is left', async () => {
  const abort = new AbortController();
  const done: number[] = [];
  const run = ensureEach(
    [1, 2],
    (family) => {
      done.push(family);
      abort.abort(failure);
      return [];
    },
    abort.signal,
  );
  expect(await run.catch((error: unknown) => error)).toBe(failure);
  expect(done).toEqual([1]);
});
