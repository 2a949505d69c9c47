import { expect, test } from 'bun:test';
import { ERRNO, ErrnoError, type ErrnoName } from '#base/errors.ts';
import type { PassReport } from '#host/pass.ts';
import { setUpDevices } from './devices.ts';
import { recordedLog } from './fixtures.ts';
import { ManualClock } from './manual-clock.ts';
import { settledOrAborted } from './settled.ts';

function setUp(answers: (ErrnoName | undefined)[], partial = false) {
  const clock = new ManualClock();
  const { log, lines } = recordedLog();
  const waits: string[] = [];
  const stop = new AbortController();
  const done = setUpDevices({
    setUp(): PassReport {
      const errno = answers.shift();
      const errors =
        errno === undefined ? [] : [new ErrnoError('create', ERRNO[errno], '', { cure: 'Do it' })];
      const blocking = partial ? undefined : errors[0];
      return { written: 0, found: [], stale: [], foundCount: 0, mended: new Map(), errors, blocking };
    },
    clock,
    random: () => 0,
    log,
    signal: stop.signal,
    onWait: (reason) => waits.push(reason),
  });
  return { clock, lines, waits, stop, done };
}

test('tried until it works; a reason is told when it changes', async () => {
  const { clock, lines, waits, done } = setUp(['EADDRINUSE', 'EADDRINUSE', 'EEXIST', undefined]);
  await clock.advance(5000);
  await done;
  expect(waits).toHaveLength(3);
  expect(waits[0]).toBe('overlay device: create: address already in use (EADDRINUSE)');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toContain('cure="Do it"');
});

test('a missing right is not waited for', async () => {
  const { done } = setUp(['EPERM']);
  expect(await done.catch((error: unknown) => error)).toMatchObject({ code: 'EPERM' });
});

test('stopping ends the wait with the reason', async () => {
  const { clock, done, stop } = setUp(['EEXIST', 'EEXIST', 'EEXIST']);
  await clock.advance(0);
  stop.abort(new Error('stopped'));
  expect(await done.catch((error: unknown) => error)).toEqual(new Error('stopped'));
});

test('work is waited for, but not longer than until the signal', async () => {
  const stop = new AbortController();
  await settledOrAborted(Promise.resolve(), stop.signal);
  const failed = settledOrAborted(Promise.reject(new Error('no')), stop.signal);
  expect(await failed.catch(String)).toBe('Error: no');
  const stopped = settledOrAborted(new Promise(() => {}), stop.signal);
  stop.abort(new Error('stopped'));
  expect(await stopped.catch(String)).toBe('Error: stopped');
  expect(await settledOrAborted(new Promise(() => {}), stop.signal).catch(String)).toBe('Error: stopped');
});

test('one family of two that fails is waited for a few seconds only', async () => {
  const { clock, lines, done } = setUp(
    Array.from({ length: 100 }, () => 'EEXIST' as const),
    true,
  );
  let over = false;
  void done.then(() => (over = true));
  await clock.advance(4000);
  expect(over).toBe(false);
  await clock.advance(10_000);
  expect(over).toBe(true);
  expect(lines).toHaveLength(1);
});
