import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { netnsOrigin } from '#ipam/origin.ts';
import { Store } from '#ipam/store.ts';
import { Ip } from '#net/ip.ts';
import { recordedLog } from './fixtures.ts';
import { ManualClock } from './manual-clock.ts';
import { keepReservations } from './reservations.ts';

const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
let root: string;

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/flannel-reservations-`);
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function leak(ip: string, id: string): void {
  const netns = `${root}/${id}.ns`;
  writeFileSync(netns, '');
  using store = Store.open(`${root}/networks/cbr0`, BOOT);
  store.reserve(Ip.parse(ip), { containerId: id, ifName: 'eth0' }, netnsOrigin(netns));
  rmSync(netns);
}

function start(dir = `${root}/networks`) {
  const clock = new ManualClock();
  const { log, lines } = recordedLog();
  const stop = new AbortController();
  const freed: number[] = [];
  const onFreed = (count: number) => freed.push(count);
  const done = keepReservations({ dir, clock, log, signal: stop.signal, onFreed });
  return { clock, lines, done, stop, freed };
}

test('looks at once and every three minutes, and says what it freed', async () => {
  leak('10.9.0.2', 'a');
  const { clock, lines, done, stop, freed } = start();
  expect(lines).toEqual([
    'INFO  freed addresses of containers that are gone network=cbr0 count=1 found="10.9.0.2 of a"',
  ]);
  await clock.advance(180_000);
  expect(lines).toHaveLength(1);
  for (let last = 2; last < 9; last += 1) leak(`10.9.0.${last}`, `b${last}`);
  await clock.advance(179_000);
  expect(lines).toHaveLength(1);
  await clock.advance(1000);
  expect(lines[1]).toContain('count=7');
  expect(freed).toEqual([1, 7]);
  stop.abort();
  await done;
  expect(clock.waits).toEqual([]);
});

test('while a plugin has the lock it comes back soon', async () => {
  leak('10.9.0.2', 'a');
  const plugin = Store.open(`${root}/networks/cbr0`, BOOT);
  const { clock, lines, done, stop } = start();
  await clock.advance(5000);
  plugin.close();
  expect(lines).toEqual([]);
  await clock.advance(5000);
  expect(lines).toHaveLength(1);
  stop.abort();
  await done;
});

test('what cannot be read is told once, and again after it could be', async () => {
  mkdirSync(`${root}/networks`);
  writeFileSync(`${root}/networks/cbr0`, '');
  const { clock, lines, done, stop } = start();
  await clock.advance(400_000);
  expect(lines).toEqual([expect.stringContaining('WARN  reservations of addresses cannot be looked at')]);
  stop.abort();
  await done;
});

test('without a folder there is nothing to do', async () => {
  await start('').done;
  const { lines, done, stop } = start(`${root}/none`);
  stop.abort();
  await done;
  expect(lines).toEqual([]);
});
