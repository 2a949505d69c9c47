import { afterEach, expect, test } from 'bun:test';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlannelError } from '#base/errors.ts';
import type { Command, PeerFacts } from '#backend/backend.ts';
import { AppliedFacts } from './applied-facts.ts';
import { recordedLog } from './fixtures.ts';
import { ManualClock } from './manual-clock.ts';
import { PeerCommands } from './peer-commands.ts';

const folders: string[] = [];
const open: Disposable[] = [];
afterEach(() => {
  // What is written late would make the folder anew.
  for (const applied of open.splice(0)) applied[Symbol.dispose]();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'flannel-peer-commands-'));
  folders.push(folder);
  return join(folder, 'extension-peers');
}

const facts = (n: number, stdin = ''): PeerFacts => ({ values: { SUBNET: `10.244.${n}.0/24` }, stdin });
const command = (what: string, { values, stdin }: PeerFacts): Command => ({
  what,
  argv: [what],
  env: values,
  stdin,
});

/** A world in which commands succeed unless `fail` says otherwise; `ran` lists them. */
function world(path = file()) {
  const { log, lines } = recordedLog();
  const clock = new ManualClock();
  const applied = new AppliedFacts(path, log);
  open.push(applied);
  const stop = new AbortController();
  const ran: string[] = [];
  const state = { fail: (_line: string): boolean => false, most: 0, running: 0 };
  const peers = new PeerCommands({
    commands: { add: (each) => command('add', each), remove: (each) => command('remove', each) },
    applied,
    clock,
    random: () => 1,
    log,
    signal: stop.signal,
    async run({ what, env, stdin }) {
      state.running += 1;
      state.most = Math.max(state.most, state.running);
      await clock.sleep(10);
      state.running -= 1;
      const line = [what, env['SUBNET'], stdin].filter(Boolean).join(' ');
      ran.push(line);
      if (state.fail(line)) throw new FlannelError('operator', `${what}: exit code 1`);
      return '';
    },
  });
  /** Lets time pass, after what has just been asked for has begun. */
  const pass = async (ms: number) => {
    await clock.advance(0);
    await clock.advance(ms);
  };
  return { path, peers, applied, pass, ran, lines, state };
}

test('nothing runs before the peers are known; then in order, the latest wish wins', async () => {
  const { peers, pass, ran } = world();
  peers.set('n2', facts(2));
  await pass(100);
  expect(ran).toEqual([]);
  peers.start();
  await pass(100);
  expect(ran).toEqual(['add 10.244.2.0/24']);
  peers.set('n2', facts(2));
  peers.set('n2', facts(3));
  peers.set('n2', facts(4, 'x'));
  await pass(100);
  expect(ran.slice(1)).toEqual(['remove 10.244.2.0/24', 'add 10.244.4.0/24 x']);
  peers.set('n2', undefined);
  await pass(100);
  expect(ran.slice(3)).toEqual(['remove 10.244.4.0/24 x']);
  await pass(100_000);
  expect(ran).toHaveLength(4);
});

test('a wish that comes while a command runs follows it', async () => {
  const { peers, pass, ran } = world();
  peers.start();
  peers.set('n2', facts(2));
  await pass(5);
  peers.set('n2', undefined);
  await pass(100);
  expect(ran).toEqual(['add 10.244.2.0/24', 'remove 10.244.2.0/24']);
});

test('failures are told once and tried again, ever more slowly; another wish does not wait', async () => {
  const { peers, pass, ran, lines, state } = world();
  state.fail = (line) => line.startsWith('add 10.244.2.0');
  peers.start();
  peers.set('n2', facts(2));
  peers.set('n3', facts(3));
  await pass(15_500);
  expect(ran).toContain('add 10.244.3.0/24');
  expect(ran.filter((line) => line === 'add 10.244.2.0/24')).toHaveLength(5);
  expect(lines.filter((line) => line.includes('a command failed'))).toHaveLength(1);
  peers.set('n2', facts(4));
  await pass(50);
  expect(ran.at(-1)).toBe('add 10.244.4.0/24');
  // What never succeeded is not removed.
  expect(ran.join()).not.toContain('remove');
});

test('a remove that fails is given up after three times', async () => {
  const { peers, pass, ran, state } = world();
  state.fail = (line) => line.startsWith('remove');
  peers.start();
  peers.set('n2', facts(2));
  await pass(100);
  peers.set('n2', facts(3));
  await pass(60_000);
  expect(ran.filter((line) => line.startsWith('remove'))).toHaveLength(3);
  expect(ran.at(-1)).toBe('add 10.244.3.0/24');
});

test('a restart runs every add once more and removes who has gone meanwhile', async () => {
  const first = world();
  first.peers.start();
  for (const n of [2, 3, 4]) first.peers.set(`n${n}`, facts(n, 'data'));
  await first.pass(100);
  first.applied[Symbol.dispose]();
  appendFileSync(first.path, 'damaged\n["n9",{"SUBNET":"; rm"},7]\n{}\n');
  const next = world(first.path);
  next.state.fail = (line) => line.startsWith('add 10.244.2.0');
  next.peers.set('n2', facts(2, 'data'));
  next.peers.set('n3', facts(7));
  next.peers.start();
  await next.pass(60_000);
  expect(next.ran.toSorted()).toEqual([
    // Its route is there already, perhaps: no reason to try again.
    'add 10.244.2.0/24 data',
    'add 10.244.7.0/24',
    'remove 10.244.3.0/24 data',
    'remove 10.244.4.0/24 data',
  ]);
  next.applied[Symbol.dispose]();
  expect(world(first.path).applied.names()).toEqual(['n2', 'n3']);
});

test('a few at a time', async () => {
  const { peers, pass, ran, state } = world();
  peers.start();
  for (let n = 1; n <= 50; n++) peers.set(`n${n}`, facts(n));
  await pass(1000);
  expect(ran).toHaveLength(50);
  expect(state.most).toBe(4);
});
