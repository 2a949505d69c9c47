import { describe, expect, test } from 'bun:test';
import { drawRound } from '../../scripts/soak/catalogue.ts';
import type { FaultKind } from '../../scripts/soak/fault.ts';
import { Ledger } from '../../scripts/soak/ledger.ts';
import { parseSoakArguments } from '../../scripts/soak/options.ts';
import { Stream } from '../../scripts/soak/prober/stream.ts';
import { Random } from '../../scripts/soak/random.ts';
import { trendOf, type Sample } from '../../scripts/soak/samples.ts';

test('the same seed draws the same sequence, another one another', () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return [
      random.between(1, 1000),
      random.pick(['a', 'b', 'c']),
      ...random.shuffled([1, 2, 3, 4, 5]),
      random.chance(0.5),
    ];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  const random = new Random(1);
  const faces = new Set(Array.from({ length: 200 }, () => random.between(1, 6)));
  expect([...faces].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
});

describe('the ledger', () => {
  const loss = (pair: string, first: number, last: number) => ({ pair, first, last, count: 3 });

  function ledgerOf(what: 'pods' | 'world' | 'all'): Ledger {
    const ledger = new Ledger({ hadTrouble: () => false });
    ledger.know('n1 > n2', { from: 'n1', to: 'n2' });
    ledger.know('n2 > n3', { from: 'n2', to: 'n3' });
    ledger.know('n1 > world', { from: 'n1', to: undefined });
    const close = ledger.excuse([{ kind: 'k', scope: { node: 'n1', what } }], 1000);
    close(2000);
    return ledger;
  }

  test.each([
    ['inside of the time', 'pods', loss('n1 > n2', 1000, 2000), true],
    ['from before', 'pods', loss('n1 > n2', 999, 1500), false],
    ['until later', 'pods', loss('n1 > n2', 1500, 2001), false],
    ['between other nodes', 'all', loss('n2 > n3', 1100, 1200), false],
    ['to the world, when pods are cut', 'pods', loss('n1 > world', 1100, 1200), false],
    ['to the world', 'world', loss('n1 > world', 1100, 1200), true],
    ['between pods, when the world is cut', 'world', loss('n1 > n2', 1100, 1200), false],
    ['of a pair that nobody knows', 'all', loss('n8 > n9', 1100, 1200), false],
  ] as const)('a loss %s', (_, what, run, excused) => {
    const ledger = ledgerOf(what);
    ledger.take(run);
    expect(ledger.blames.length).toBe(excused ? 0 : 1);
    expect(ledger.lost).toBe(3);
    expect(ledger.lostBy('k')).toBe(excused ? 3 : 0);
  });
});

test("what the machine has no room for is nobody else's fault", () => {
  const ledger = new Ledger({ hadTrouble: (first) => first === 3000 });
  ledger.know('p', { from: 'n1', to: 'n2' });
  ledger.take({ pair: 'p', first: 3000, last: 3000, count: 2 });
  expect([ledger.blames.length, ledger.lostByMachine]).toEqual([0, 2]);
});

test('a question without an answer is lost when its time in ticks is over, one run for those in sequence', () => {
  const stream = new Stream({ id: 'p', from: 'a', to: 'b', address: '10.0.0.1', freshPort: false });
  const numbers = [1, 2, 3, 4, 5].map((tick) => stream.send(tick));
  expect(stream.answered(numbers[0] ?? 0)).toBe(true);
  expect(stream.answered(numbers[3] ?? 0)).toBe(true);
  expect(stream.answered(numbers[3] ?? 0)).toBe(false);
  stream.judge(1);
  expect(stream.takeLosses()).toEqual([]);
  stream.judge(5);
  expect(stream.takeLosses().map(({ count }) => count)).toEqual([2, 1]);
  expect(stream.takeLosses()).toEqual([]);
});

describe('the trend', () => {
  const sample = (at: number, anonymous: number, descriptors = 10): Sample => ({
    at,
    pid: 1,
    rss: 0,
    anonymous,
    descriptors,
    connections: 1,
    quiet: at % 5 === 0,
  });
  const seconds = Array.from({ length: 120 }, (_, at) => at);

  test('leaves the warm-up out and tells growth', () => {
    const trend = trendOf(
      seconds.map((at) => sample(at, at < 30 ? at * 1000 : 30_000 + at, at < 100 ? 10 : 11)),
      120,
    );
    expect(trend?.seconds).toBe(89);
    expect(trend?.slope).toBeCloseTo(60);
    expect([trend?.firstDescriptors, trend?.lastDescriptors]).toEqual([10, 11]);
    expect(trend?.last).toBeGreaterThan(trend?.first ?? 0);
  });

  test('is that of the process that lived longest; of a short life nothing is said', () => {
    const other = seconds.map((at) => ({ ...sample(at + 200, 5), pid: 2 })).slice(0, 20);
    expect(trendOf([...seconds.map((at) => sample(at, 7)), ...other], 120)?.last).toBe(7);
    expect(trendOf(other, 120)).toBeUndefined();
  });
});

test('an agent that starts while the API server is broken may go by an old record, another one may not', () => {
  const kind = (name: string, more: Partial<FaultKind>): FaultKind => ({
    name,
    on: 'node',
    draw: () => ({ what: name, hurts: [], bound: 1, run: async () => {} }),
    ...more,
  });
  const kinds = [kind('api', { on: 'api' }), kind('kill', { endsAgent: true }), kind('entry', {})];
  const nodes = ['n1', 'n2', 'n3', 'n4'].map((name) => ({ name }));
  const random = new Random(3);
  const seen = new Set<string>();
  for (let round = 0; round < 300; round += 1) {
    const drawn = drawRound({ cluster: { nodes } as never, random, kinds, settled: async () => {} });
    const broken = drawn.some((each) => each.kind.name === 'api');
    for (const {
      kind: { name },
      node,
      attempt,
    } of drawn) {
      const excused = broken && name === 'kill';
      expect(attempt.hurts).toEqual(excused ? [{ node: node.name, what: 'pods' }] : []);
      seen.add(`${name} ${broken}`);
    }
  }
  expect([...seen].toSorted()).toEqual(['api true', 'entry false', 'entry true', 'kill false', 'kill true']);
});

test('options', () => {
  expect(parseSoakArguments(['--backend', 'host-gw'], 5)).toMatchObject({ backend: 'host-gw' });
  expect(parseSoakArguments([], 5)).toMatchObject({ minutes: 30, seed: 5, nodes: 5, families: 'ipv4' });
  expect(parseSoakArguments(['--minutes', '0.5', '--seed', '9', '--faults', 'a,b'], 5)).toMatchObject({
    minutes: 0.5,
    seed: 9,
    faults: ['a', 'b'],
  });
  for (const [args, message] of [
    [['--minutes', 'x'], '--minutes'],
    [['--nodes', '1'], '--nodes'],
    [['--nodes', '2.5'], '--nodes'],
    [['--seed', '-1'], 'seed'],
    [['--families', 'ipv5'], '--families'],
    [['--backend', 'extension'], '--backend'],
    [['--nonsense'], 'nonsense'],
  ] as const)
    expect(() => parseSoakArguments(args, 1)).toThrow(message);
});
