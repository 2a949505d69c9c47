import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Format } from './format.ts';

const en = new Format('en', 'UTC');
const ko = new Format('ko', 'UTC');

test('quantities have three digits and a unit', () => {
  expect(en.bytes(0)).toBe('0 byte');
  expect(en.bytes(1234)).toBe('1.23 kB');
  expect(en.bytes(999_499)).toBe('999 kB');
  expect(en.bytes(999_500)).toBe('1 MB');
  expect(en.rate(125_000)).toBe('1 Mb/s');
  expect(en.rate(12.5)).toBe('100 bit/s');
  fc.assert(
    fc.property(fc.double({ min: 0, max: 2 ** 53, noNaN: true }), (value) => {
      expect(en.bytes(value).replaceAll(/[^\d]/g, '').length).toBeLessThanOrEqual(4);
    }),
  );
});

test('times are told by their largest units', () => {
  expect(en.duration(0)).toBe('0s');
  expect(en.duration(61_000)).toBe('1m 1s');
  expect(en.duration(3_600_000)).toBe('1h 0m');
  expect(en.duration(90_061_000)).toBe('1d 1h');
  expect(ko.duration(90_061_000)).toBe('1일 1시간');
  expect(en.duration(-5)).toBe('0s');
  expect(en.ms(2.4)).toBe('2.4 ms');
  expect(en.ms(0.034)).toBe('0.034 ms');
  expect(en.ms(1250)).toBe('1.25 sec');
  expect(en.ago(3000)).toBe('3 sec. ago');
  expect(ko.ago(300_000)).toBe('5분 전');
});

test('a time that no calendar has is a dash', () => {
  expect(en.clock(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe('03:04:05');
  expect(en.moment(Number.NaN)).toBe('–');
  expect(en.day(1e300)).toBe('–');
});
