import { expect, test } from 'bun:test';
import { readinessOf, type Contact, type ReadinessState } from './readiness.ts';

const SOUND: ReadinessState = {
  starting: undefined,
  passError: undefined,
  rulesError: undefined,
  fileError: undefined,
};
const heard: Contact = { last: 1000, now: 2000, silence: 5000, trouble: undefined, fromMemory: false };

test('ready when nothing is in the way', () => {
  expect(readinessOf(SOUND, heard)).toEqual({ ready: true, reason: 'ready' });
});

test('each condition by itself, and the first of several', () => {
  const everything = { starting: 'waiting', passError: 'p', rulesError: 'r', fileError: 'f' };
  const reasons = {
    starting: 'waiting',
    passError: 'not as planned: p',
    rulesError: 'traffic rules: r',
    fileError: 'subnet file: f',
  };
  const left: Partial<Record<keyof ReadinessState, string>> = { ...everything };
  for (const key of ['starting', 'passError', 'rulesError', 'fileError'] as const) {
    const only = { ...SOUND, [key]: everything[key] };
    expect(readinessOf(only, heard)).toEqual({ ready: false, reason: reasons[key] });
    expect(readinessOf({ ...SOUND, ...left }, heard).reason).toBe(reasons[key]);
    delete left[key];
  }
});

test('silence of the store, to the millisecond', () => {
  expect(readinessOf(SOUND, { ...heard, now: 6000 }).ready).toBe(true);
  expect(readinessOf(SOUND, { ...heard, now: 6001 })).toEqual({
    ready: false,
    serving: true,
    reason: 'no word from the API server for more than 5 s',
  });
  expect(readinessOf(SOUND, { ...heard, now: 6001, trouble: 'x509' }).reason).toBe(
    'no word from the API server for more than 5 s: x509',
  );
  expect(readinessOf(SOUND, { ...heard, last: undefined }).reason).toBe('no word from the API server yet');
});

test('the last known state is served, and is not ready, whatever the store has said of this node', () => {
  const contact = { ...heard, fromMemory: true };
  const reason = 'running from the last known state; API server: ';
  expect(readinessOf(SOUND, { ...contact, last: undefined })).toEqual({
    ready: false,
    serving: true,
    reason: `${reason}no answer`,
  });
  expect(readinessOf(SOUND, { ...contact, trouble: '403 Forbidden' }).reason).toBe(`${reason}403 Forbidden`);
  expect(readinessOf({ ...SOUND, passError: 'p' }, contact)).toEqual({
    ready: false,
    reason: 'not as planned: p',
  });
});
