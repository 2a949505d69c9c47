import { expect, test } from 'bun:test';
import { Ip } from '#net/ip.ts';
import { count, document, since, span } from './output.ts';

test('a span is told in its two largest units', () => {
  const spans = [-5, 0, 999, 1000, 59_999, 60_000, 61_000, 3_600_000, 3_605_000, 11_520_000, 90_061_000];
  expect(spans.map(span)).toEqual([
    '0 s',
    '0 s',
    '0 s',
    '1 s',
    '59 s',
    '1 min',
    '1 min 1 s',
    '1 h',
    '1 h',
    '3 h 12 min',
    '1 d 1 h',
  ]);
});

test('a time that is none has no age', () => {
  expect(since('2026-11-22T19:00:00.000Z', Date.UTC(2026, 10, 22, 19, 0, 5))).toBe(5000);
  expect(since(undefined, 0)).toBeUndefined();
  expect(since('yesterday', 0)).toBeUndefined();
});

test('one and many', () => {
  expect([count(1, 'peer'), count(2, 'peer'), count(0, 'entry', 'entries')]).toEqual([
    '1 peer',
    '2 peers',
    '0 entries',
  ]);
});

test('JSON and YAML say the same', () => {
  const value = {
    ip: Ip.parse('10.244.1.2'),
    why: 'a: "b"\n- c',
    list: [1, true, null],
    none: {},
    text: 'true',
    empty: [],
  };
  const json = document('json', value);
  const yaml = document('yaml', value);
  expect(Bun.YAML.parse(yaml)).toEqual(JSON.parse(json));
  expect(yaml).toStartWith('ip: 10.244.1.2\n');
  expect(yaml).toContain('text: "true"\n');
});
