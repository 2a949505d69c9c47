import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Ip } from '#net/ip.ts';
import { netnsOrigin } from './origin.ts';
import { Store } from './store.ts';
import { sweepReservations } from './sweep.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/flannel-sweep-`);
  mkdirSync(`${root}/ns`);
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

const stores = () => `${root}/networks`;
const namespace = (id: string) => `${root}/ns/${id}`;

/** Reserves an address for a container with a namespace of its own, unless told that it has none. */
function reserve(network: string, ip: string, id: string, boot = 'boot1'): void {
  if (id !== 'unknown') writeFileSync(namespace(id), '');
  using store = Store.open(`${stores()}/${network}`, boot);
  store.reserve(Ip.parse(ip), { containerId: id, ifName: 'eth0' }, netnsOrigin(namespace(id)));
}

function sweep(boot = 'boot1'): string[] {
  return sweepReservations(stores(), boot).map(
    ({ network, freed, problem }) =>
      `${network}: ${freed.map(({ ip, holder }) => `${ip} ${holder.containerId}`).join(', ')} ${problem ?? ''}`,
  );
}

const left = (network: string) =>
  readdirSync(`${stores()}/${network}`)
    .filter((name) => Ip.tryParse(name) !== undefined)
    .sort();

test('a namespace that is gone frees its address, one that is there and one that is not known keep theirs', () => {
  reserve('cbr0', '10.9.0.2', 'live');
  reserve('cbr0', '10.9.0.3', 'dead');
  reserve('cbr0', '10.9.0.4', 'unknown');
  reserve('other', 'fd00::2', 'alive');
  writeFileSync(`${stores()}/cbr0/10.9.0.5`, 'of-another-program\r\neth0');
  writeFileSync(`${stores()}/cbr0/10.9.0.6`, '');
  expect(sweep()).toEqual([]);
  rmSync(namespace('dead'));
  expect(sweep()).toEqual(['cbr0: 10.9.0.3 dead ']);
  expect(left('cbr0')).toEqual(['10.9.0.2', '10.9.0.4', '10.9.0.5', '10.9.0.6']);
  expect(readdirSync(`${stores()}/cbr0/.boot`).sort()).toEqual(['10.9.0.2', '10.9.0.4']);
  expect(left('other')).toEqual(['fd00::2']);
});

test('everything of an earlier boot is free', () => {
  reserve('cbr0', '10.9.0.2', 'a', 'boot1');
  reserve('cbr0', '10.9.0.3', 'b', 'boot2');
  expect(sweep('boot2')).toEqual(['cbr0: 10.9.0.2 a ']);
  expect(left('cbr0')).toEqual(['10.9.0.3']);
});

test('nothing is judged from where the folder of the namespaces is not visible', () => {
  reserve('cbr0', '10.9.0.2', 'dead');
  rmSync(`${root}/ns`, { recursive: true });
  expect(sweep()).toEqual([]);
  // A folder of the same name is not the same folder.
  mkdirSync(`${root}/elsewhere`);
  mkdirSync(`${root}/ns`);
  expect(sweep()).toEqual([]);
  expect(left('cbr0')).toEqual(['10.9.0.2']);
});

test('while a plugin has the lock nothing is freed, and nobody waits', () => {
  reserve('cbr0', '10.9.0.2', 'dead');
  rmSync(namespace('dead'));
  using _plugin = Store.open(`${stores()}/cbr0`, 'boot1');
  expect(sweep()).toEqual(['cbr0:  busy']);
  expect(left('cbr0')).toEqual(['10.9.0.2']);
});

test('no folder, a file in its place, a folder that is no network: nothing happens', () => {
  expect(sweep()).toEqual([]);
  mkdirSync(`${stores()}/..data`, { recursive: true });
  mkdirSync(`${stores()}/empty`);
  writeFileSync(`${stores()}/file`, '');
  expect(sweep()).toEqual([expect.stringMatching(/^file: .*ENOTDIR/)]);
  expect(existsSync(`${stores()}/empty/lock`)).toBe(false);
});
