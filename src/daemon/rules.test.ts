import { expect, test } from 'bun:test';
import { FlannelError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Traffic } from '#traffic/create.ts';
import { FakeTraffic } from '#traffic/fake.ts';
import { trafficRules } from '#traffic/rules.ts';
import { recordedLog } from './fixtures.ts';
import { RulesKeeper } from './rules.ts';

const RULES = trafficRules({
  families: [{ network: [Cidr.parse('10.244.0.0/16')], subnet: Cidr.parse('10.244.1.0/24') }],
  ipMasq: true,
  forward: true,
  randomFully: true,
});

interface Setup {
  readonly period?: number;
  readonly watch?: boolean;
  readonly dropsPeriod?: number;
  readonly clearOther?: Traffic['clearOther'];
}

function setUp(setup: Setup = {}) {
  const {
    period = 60_000,
    watch = true,
    clearOther = async () => ({ removed: [] }),
    dropsPeriod = 60_000,
  } = setup;
  const backend = new FakeTraffic();
  if (!watch) Object.assign(backend, { watch: undefined });
  const { log, lines } = recordedLog();
  const results: (string | undefined)[] = [];
  const repairs: number[] = [];
  const traffic: Traffic = { backend, clearOther };
  const onResult = (error: string | undefined, repaired: number) => {
    results.push(error);
    if (repaired > 0) repairs.push(repaired);
  };
  const keeper = new RulesKeeper({ traffic, rules: RULES, period, dropsPeriod, log, onResult });
  return { backend, lines, results, repairs, keeper };
}

/** Somebody empties the first table. */
function damage(backend: FakeTraffic): void {
  const [name, table] = [...backend.tables][0] ?? [];
  if (name === undefined || table === undefined) throw new Error('there is a table');
  backend.tables.set(name, { ...table, chains: [] });
}

test('at start the rules of the other mode go and ours are written', async () => {
  const { backend, lines, results, keeper } = setUp({
    clearOther: async () => ({ removed: ['chain FLANNEL-FWD'] }),
  });
  await using _ = keeper;
  await keeper.start();
  await keeper.check();
  expect(backend.writes).toBe(1);
  expect(results.every((result) => result === undefined)).toBe(true);
  expect(lines).toEqual([
    'INFO  removed the rules of the other mode removed="chain FLANNEL-FWD"',
    'INFO  traffic rules written mode=nftables',
  ]);
});

test('a change by somebody else is noticed and put back, told once', async () => {
  const { backend, lines, repairs, keeper } = setUp();
  await using _ = keeper;
  await keeper.start();
  await keeper.check();
  expect(repairs).toEqual([]);
  damage(backend);
  backend.touch();
  await Bun.sleep(10);
  expect(backend.writes).toBe(2);
  expect(lines.filter((line) => line.includes('put back'))).toHaveLength(1);
  expect(lines.at(-1)).toContain('chain');
  expect(repairs).toEqual([2]);
});

test('without notifications the period finds it', async () => {
  const { backend, keeper } = setUp({ watch: false, period: 20 });
  await using _ = keeper;
  await keeper.start();
  damage(backend);
  await Bun.sleep(80);
  expect(backend.writes).toBe(2);
});

test('a failure is told once with its cure, tried again, and makes the agent unready meanwhile', async () => {
  const { backend, lines, results, keeper } = setUp({ watch: false, period: 15 });
  await using _ = keeper;
  const fail = () => {
    backend.failure = new FlannelError('operator', 'nft: no such program', { cure: 'Install nftables' });
  };
  fail();
  await keeper.start();
  expect(results).toEqual(['nft: no such program']);
  fail();
  await Bun.sleep(25);
  await Bun.sleep(40);
  expect(results.at(-1)).toBeUndefined();
  expect(lines.filter((line) => line.startsWith('ERROR'))).toEqual([
    'ERROR traffic rules cannot be written; trying again error="nft: no such program" cure="Install nftables"',
  ]);
  expect(lines.at(-1)).toBe('INFO  traffic rules written mode=nftables');
});

test('rules of the other mode that cannot be removed keep ours from nothing', async () => {
  const clearOther = () => Promise.reject(new FlannelError('kernel', 'iptables-save: killed'));
  const { backend, lines, keeper } = setUp({ clearOther });
  await using _ = keeper;
  await keeper.start();
  expect(backend.writes).toBe(1);
  expect(lines[0]).toContain('may still be there error="iptables-save: killed"');
});

test('checks never overlap; a call during one makes one more follow', async () => {
  const { backend, keeper } = setUp({ watch: false });
  await using _ = keeper;
  let running = 0;
  let most = 0;
  let calls = 0;
  backend.ensure = async () => {
    calls += 1;
    running += 1;
    most = Math.max(most, running);
    await Bun.sleep(5);
    running -= 1;
    return { changed: false, repaired: [] };
  };
  const first = keeper.check();
  await Bun.sleep(1);
  expect(running).toBe(1);
  await Promise.all([first, keeper.check(), keeper.check()]);
  expect([most, calls]).toEqual([1, 2]);
});

test('disposed, it does nothing more and removes nothing', async () => {
  const { backend, results, keeper } = setUp({ period: 10 });
  await keeper.start();
  await keeper[Symbol.asyncDispose]();
  expect(backend.tables.size).toBeGreaterThan(0);
  damage(backend);
  backend.touch();
  const before = results.length;
  await Bun.sleep(40);
  expect(backend.writes).toBe(1);
  expect(results.length).toBe(before);
});

test('somebody who undoes every repair is answered ever more slowly, and never left alone', async () => {
  const { backend, repairs, keeper } = setUp();
  await using _ = keeper;
  await keeper.start();
  let undone = 0;
  const ensure = backend.ensure.bind(backend);
  backend.ensure = async (rules, signal) => {
    const done = await ensure(rules, signal);
    if (done.changed && undone < 1000) {
      undone += 1;
      setImmediate(() => {
        damage(backend);
        backend.touch();
      });
    }
    return done;
  };
  damage(backend);
  backend.touch();
  await Bun.sleep(400);
  // A few at once, then after 40, 120 and 280 ms; without a pause it would be hundreds.
  expect(repairs.length).toBeGreaterThanOrEqual(2);
  expect(repairs.length).toBeLessThanOrEqual(7);
});

test('one family that fails is an error, and what was put right in the other is counted', async () => {
  const { backend, results, repairs, lines, keeper } = setUp({ watch: false });
  await using _ = keeper;
  await keeper.start();
  const failure = new FlannelError('kernel', 'ip6tables-restore failed', { cure: 'Load ip6_tables' });
  backend.ensure = async () => ({ changed: true, repaired: ['table ip: is missing'], failure });
  await keeper.check();
  expect([results.at(-1), repairs]).toEqual(['ip6tables-restore failed', [1]]);
  expect(lines.at(-1)).toContain('cure="Load ip6_tables"');
});

test('a firewall that drops what we accept is told once, and again when it comes back', async () => {
  const { backend, lines, keeper } = setUp({ watch: false, dropsPeriod: 0 });
  await using _ = keeper;
  let found = ['chain FORWARD of table ip filter'];
  Object.assign(backend, { drops: () => found });
  await keeper.start();
  await keeper.check();
  const said = () => lines.filter((line) => line.includes('chain FORWARD of table ip filter'));
  expect(said()).toHaveLength(1);
  expect(said()[0]).toContain('cure="accept the pod network there');
  found = [];
  await keeper.check();
  found = ['chain FORWARD of table ip filter'];
  await keeper.check();
  expect(said()).toHaveLength(2);
});

test('the chains of others are not looked at with every check', async () => {
  const { backend, keeper } = setUp({ watch: false });
  await using _ = keeper;
  let looks = 0;
  Object.assign(backend, { drops: () => ((looks += 1), []) });
  await keeper.start();
  await keeper.check();
  await keeper.check();
  expect(looks).toBe(1);
});
