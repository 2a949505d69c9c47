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

test('texts are read back as texts, and a terminal acts on none', () => {
  const times = ['2026-11-22', '2026-11-22T22:24:04.754Z', '12:30:45', '26:12:01:17:12:53', '190:20:30'];
  const numbers = ['0x10', '1e3', '1_000', '0b11', '0o17', '.5', '+1', '.nan', '1.2', '010'];
  const words = [
    'no',
    'Y',
    'on',
    'null',
    '~',
    '=',
    '<<',
    '',
    '-',
    '---',
    '? a',
    '- a: b',
    '#c',
    'a #b',
    'a: b',
    'a:',
  ];
  const marks = ['*x', '&y', '!t', '%d', '@a', '`b', '|', '[x', '{y', '"q"', "it's", ' lead', 'trail ', '\\'];
  const hostile = [
    'a\nb',
    '\u001b[2Jx',
    '\u009bx',
    '\u202Ex',
    '\u2028',
    '\r',
    '\u0000',
    'é😀',
    'x'.repeat(300),
  ];
  const names = [...times, ...numbers, ...words, ...marks, ...hostile];
  const value = { names, nested: names.map((name) => ({ [`a ${name}`]: [name, [name], {}] })) };
  const yaml = document('yaml', value);
  expect(Bun.YAML.parse(yaml)).toEqual(value);
  expect(JSON.parse(document('json', value))).toEqual(value);
  for (const form of ['json', 'yaml'] as const)
    expect(document(form, value)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]/);
  for (const name of [...times, ...numbers]) expect(yaml).toContain(`\n  - "${name}"\n`);
  const bare = [
    '10.244.1.2',
    '10.244.1.0/24',
    '26:82:0d:17:e2:93',
    'flannel.1',
    '/run/netns/a',
    'not as planned',
  ];
  expect(document('yaml', bare)).toBe(bare.map((text) => `- ${text}\n`).join(''));
});
