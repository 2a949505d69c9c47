import { expect, test } from 'bun:test';
import { Registry } from './metrics.ts';

test('a counter: help, type, series from the start on, sums', () => {
  const registry = new Registry();
  const repairs = registry.counter<'kind'>({
    name: 'test_repairs_total',
    help: 'What was mended.',
    start: [{ kind: 'route' }, { kind: 'fdb' }],
  });
  repairs.add({ kind: 'fdb' });
  repairs.add({ kind: 'fdb' }, 4);
  repairs.add({ kind: 'link' });
  expect(registry.render()).toBe(
    '# HELP test_repairs_total What was mended.\n' +
      '# TYPE test_repairs_total counter\n' +
      'test_repairs_total{kind="route"} 0\n' +
      'test_repairs_total{kind="fdb"} 5\n' +
      'test_repairs_total{kind="link"} 1\n',
  );
});

test('values are read when they are asked for; what has none is left out', () => {
  const registry = new Registry();
  let value: number | undefined;
  registry.read({ name: 'test_ready', type: 'gauge', help: 'Ready.', read: () => value });
  expect(registry.render()).toBe('');
  value = 1;
  expect(registry.render()).toBe('# HELP test_ready Ready.\n# TYPE test_ready gauge\ntest_ready 1\n');
  expect(registry.list()).toEqual([{ name: 'test_ready', type: 'gauge', help: 'Ready.' }]);
});

test('numbers as Go reads them', () => {
  const registry = new Registry();
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 64, 1e-9, -0.5];
  const read = () => values.map((value, at) => [{ at: String(at) }, value] as const);
  registry.read({ name: 'test_values', type: 'gauge', help: 'x', read });
  const shown = registry
    .render()
    .split('\n')
    .flatMap((line) => (line.startsWith('test') ? [line.split(' ')[1]] : []));
  expect(shown).toEqual(['NaN', '+Inf', '-Inf', '18446744073709552000', '1e-9', '-0.5']);
});

test('hostile text stays inside its line', () => {
  const registry = new Registry();
  const errors = registry.counter<'kind'>({ name: 'test_errors_total', help: 'a\\b\nflannel_ready 1' });
  errors.add({ kind: '"} 1\nflannel_ready 1\n# \\' });
  expect(registry.render()).toBe(
    '# HELP test_errors_total a\\\\b\\nflannel_ready 1\n' +
      '# TYPE test_errors_total counter\n' +
      'test_errors_total{kind="\\"} 1\\nflannel_ready 1\\n# \\\\"} 1\n',
  );
});

test('a histogram is cumulative, bounds included', () => {
  const registry = new Registry();
  const duration = registry.histogram({ name: 'test_seconds', help: 'x', buckets: [0.1, 1] });
  for (const value of [0.1, 0.5, 1, 7]) duration.observe(value);
  expect(registry.render().split('\n').slice(2, -1)).toEqual([
    'test_seconds_bucket{le="0.1"} 1',
    'test_seconds_bucket{le="1"} 3',
    'test_seconds_bucket{le="+Inf"} 4',
    'test_seconds_sum 8.6',
    'test_seconds_count 4',
  ]);
});

test('names are checked, and declared once', () => {
  const registry = new Registry();
  const declare = (name: string) => () => registry.counter({ name, help: 'x' });
  for (const name of ['', '1a', 'a b', 'a"', 'A', 'ä']) expect(declare(name)).toThrow('no name of a metric');
  declare('test_total')();
  expect(declare('test_total')).toThrow('declared twice');
});
