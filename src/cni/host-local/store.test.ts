import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { Store } from '#ipam/store.ts';
import { Ip } from '#net/ip.ts';
import { allocate, DuplicateAllocation } from './allocate.ts';
import { parseRange } from './range.ts';

let root: string;
let dir: string;

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/flannel-store-`);
  dir = `${root}/net`;
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

const RANGES = [[parseRange({ subnet: '10.9.0.0/29' })]];

function holder(containerId: string, ifName = 'eth0') {
  return { containerId, ifName };
}

function add(containerId: string, boot = 'boot1', requested: readonly Ip[] = []): string {
  using store = Store.open(dir, boot);
  return allocate(store, { ranges: RANGES, requested, holder: holder(containerId) })
    .map(({ address }) => address.toString())
    .join(' ');
}

function files(): string[] {
  return readdirSync(dir)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

test('the files are those of the original, content and modes', () => {
  expect(add('pod11')).toBe('10.9.0.2/29');
  expect(files()).toEqual(['10.9.0.2', 'last_reserved_ip.0', 'lock']);
  expect(readFileSync(`${dir}/10.9.0.2`, 'utf8')).toBe('pod11\r\neth0');
  expect(readFileSync(`${dir}/last_reserved_ip.0`, 'utf8')).toBe('10.9.0.2');
  const modes = files().map((name) => (statSync(`${dir}/${name}`).mode & 0o777).toString(8));
  expect(modes).toEqual(['600', '600', '750']);
});

test('addresses go round, a full range says so, a freed one is found', () => {
  expect(['a', 'b', 'c', 'd', 'e'].map((id) => add(id))).toEqual(
    [2, 3, 4, 5, 6].map((last) => `10.9.0.${last}/29`),
  );
  expect(() => add('f')).toThrow(
    'failed to allocate for range 0: no IP addresses available in range set: 10.9.0.1-10.9.0.6',
  );
  using store = Store.open(dir, 'boot1');
  expect(store.release(holder('c')).join()).toBe('10.9.0.4');
  store.close();
  expect(add('f')).toBe('10.9.0.4/29');
});

test('a container that holds an address does not get a second one', () => {
  add('a');
  expect(() => add('a')).toThrow(DuplicateAllocation);
  expect(() => add('a')).toThrow(/duplicate allocation is not allowed/);
  expect(files()).toEqual(['10.9.0.2', 'last_reserved_ip.0', 'lock']);
});

test('an old file with the container ID only belongs to all its interfaces', () => {
  mkdirSync(dir, { recursive: true });
  writeFileSync(`${dir}/10.9.0.5`, 'old');
  expect(() => add('old')).toThrow(DuplicateAllocation);
  using store = Store.open(dir, 'boot1');
  expect(store.release(holder('other'))).toEqual([]);
  expect(store.release(holder('old', 'net1')).join()).toBe('10.9.0.5');
});

test.each(['', '\0\0\0\0', ' \r\n ', '../../etc/passwd\r\neth0', '{"half":'])(
  'a file that a crash left behind counts as free: %j',
  (content) => {
    mkdirSync(dir, { recursive: true });
    for (const ip of ['10.9.0.2', '10.9.0.3']) writeFileSync(`${dir}/${ip}`, content);
    writeFileSync(`${dir}/last_reserved_ip.0`, content);
    writeFileSync(`${dir}/.new`, 'half a wri');
    expect(add('a')).toBe('10.9.0.2/29');
    expect(readFileSync(`${dir}/10.9.0.2`, 'utf8')).toBe('a\r\neth0');
  },
);

test('reservations of an earlier boot are free, those of this one are not', () => {
  for (const id of ['a', 'b', 'c', 'd', 'e']) add(id, 'boot1');
  expect(add('new', 'boot2')).toBe('10.9.0.2/29');
  expect(readFileSync(`${dir}/10.9.0.2`, 'utf8')).toBe('new\r\neth0');
  expect(['f', 'g', 'h', 'i'].map((id) => add(id, 'boot2'))).toEqual(
    [3, 4, 5, 6].map((last) => `10.9.0.${last}/29`),
  );
  expect(() => add('j', 'boot2')).toThrow(/no IP addresses available/);
});

test('a reservation by the original counts in the boot where it is first seen, and is free in the next', () => {
  mkdirSync(dir, { recursive: true });
  for (let last = 2; last <= 6; last += 1) writeFileSync(`${dir}/10.9.0.${last}`, `go${last}\r\neth0`);
  expect(() => add('a', 'boot1')).toThrow(/no IP addresses available/);
  expect(add('a', 'boot2')).toBe('10.9.0.2/29');
});

test('the side file of a former holder says nothing about the present one', () => {
  add('a', 'boot1');
  // The original frees and reserves again, and leaves our side file alone.
  rmSync(`${dir}/10.9.0.2`);
  writeFileSync(`${dir}/10.9.0.2`, 'b\r\neth0');
  expect(add('c', 'boot2')).toBe('10.9.0.3/29');
  expect(() => add('d', 'boot2', [Ip.parse('10.9.0.2')])).toThrow(/not available.*container b holds it/);
});

test('a requested address is given, or refused with the reason', () => {
  expect(add('a', 'boot1', [Ip.parse('10.9.0.5')])).toBe('10.9.0.5/29');
  expect(() => add('b', 'boot1', [Ip.parse('10.9.0.5')])).toThrow(/container a holds it/);
  expect(() => add('b', 'boot1', [Ip.parse('10.9.0.1')])).toThrow(/gateway/);
  expect(() => add('b', 'boot1', [Ip.parse('192.0.2.1')])).toThrow(/all requested IPs: 192.0.2.1/);
});

test('all or nothing: when the second range is full the first address goes back', () => {
  using store = Store.open(dir, 'boot1');
  const ranges = [
    ...RANGES,
    [parseRange({ subnet: 'fd00::/126', rangeStart: 'fd00::2', rangeEnd: 'fd00::2' })],
  ];
  allocate(store, { ranges, requested: [], holder: holder('a') });
  expect(() => allocate(store, { ranges, requested: [], holder: holder('b') })).toThrow(/range 1/);
  expect([...store.holders().keys()].sort()).toEqual(['10.9.0.2', 'fd00::2']);
});

test('GC keeps what is in the list and nothing else', () => {
  for (const id of ['a', 'b', 'c']) add(id);
  using store = Store.open(dir, 'boot1');
  expect(
    store
      .releaseExcept([holder('b'), holder('c', 'net1')])
      .join()
      .split(',')
      .sort(),
  ).toEqual(['10.9.0.2', '10.9.0.4']);
  expect([...store.holders().values()]).toEqual([holder('b')]);
});

test('a DEL of a network that has no folder does not make one', () => {
  expect(Store.openExisting(dir, 'boot1')).toBeUndefined();
  expect(existsSync(dir)).toBe(false);
});

test('foreign files are no addresses', () => {
  mkdirSync(`${dir}/10.9.0.2`, { recursive: true });
  writeFileSync(`${dir}/notes.txt`, 'a\r\neth0');
  using store = Store.open(dir, 'boot1');
  expect(store.holders().size).toBe(0);
  store.close();
  expect(add('a')).toBe('10.9.0.3/29');
});
