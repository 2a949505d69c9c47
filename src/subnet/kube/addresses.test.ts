import { beforeEach, expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { Lease } from '../lease.ts';
import { SharedAddresses } from './addresses.ts';

function lease(name: string, v4: string, v6?: string): Lease {
  const ipv4 = { subnet: Cidr.parse('10.1.0.0/24'), publicIp: Ip.parse(v4), backendData: 'null' };
  const ipv6 = { subnet: Cidr.parse('fd00::/64'), publicIp: Ip.parse(v6 ?? '::1'), backendData: 'null' };
  return { name, backendType: 'vxlan', families: { ipv4, ...(v6 !== undefined && { ipv6 }) } };
}

let lines: string[];
let shared: SharedAddresses;

beforeEach(() => {
  lines = [];
  const write = (line: string) => void lines.push(line);
  shared = new SharedAddresses(
    createLogger({ level: 'info', format: 'text', now: () => new Date(0), write }),
  );
});

/** What was said since the last call: addresses and peers. */
function said(): string[] {
  const news = lines.map((line) => /address=(\S+) peers="([^"]*)"/.exec(line)?.slice(1).join(' ') ?? line);
  lines = [];
  return news;
}

test('two of one list, in either order and once', () => {
  const [a, b, c] = [lease('a', '192.0.2.1'), lease('b', '192.0.2.1'), lease('c', '192.0.2.2')];
  shared.reset([b, c, a]);
  expect(said()).toEqual(['192.0.2.1 a, b']);
  shared.reset([a, b, c]);
  shared.replace(c, lease('c', '192.0.2.3'));
  shared.replace(a, a);
  expect(said()).toEqual([]);
});

test('one comes, a third one, they go, and come again', () => {
  const [a, b, c] = [lease('a', '192.0.2.1'), lease('b', '192.0.2.1'), lease('c', '192.0.2.1')];
  shared.reset([a]);
  shared.replace(undefined, b);
  shared.replace(undefined, c);
  expect(said()).toEqual(['192.0.2.1 a, b', '192.0.2.1 a, b, c']);
  shared.replace(a, undefined);
  expect(said()).toEqual(['192.0.2.1 b, c']);
  shared.replace(b, lease('b', '192.0.2.9'));
  shared.replace(c, undefined);
  expect(said()).toEqual([]);
  shared.replace(undefined, lease('d', '192.0.2.9'));
  shared.replace(undefined, a);
  expect(said()).toEqual(['192.0.2.9 b, d']);
});

test('each family by itself; the same value in both is not the same address', () => {
  shared.reset([
    lease('a', '0.0.0.9', 'fd00::1'),
    lease('b', '192.0.2.2', 'fd00::1'),
    lease('c', '192.0.2.3', '::9'),
  ]);
  expect(said()).toEqual(['fd00::1 a, b']);
});

test('a cluster behind one address is not a line per node', () => {
  shared.reset(Array.from({ length: 500 }, (_, at) => lease(`n${at}`, `192.0.2.${(at >> 1) & 255}`)));
  expect(said().length).toBe(21);
});
