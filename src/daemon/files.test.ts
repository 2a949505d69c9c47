import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  chmodSync,
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
import { join } from 'node:path';
import { Cidr } from '#net/cidr.ts';
import { dualConfig } from './fixtures.ts';
import { ManualClock } from './manual-clock.ts';
import { StatusFile, type StatusContent } from './status-file.ts';
import { SubnetFile } from './subnet-file.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'daemon-files-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const SUBNETS = { ipv4: Cidr.parse('10.244.1.0/24'), ipv6: Cidr.parse('2001:cafe:42:1::/64') };
const TEXT = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_IPV6_NETWORK=2001:cafe:42::/56
FLANNEL_IPV6_SUBNET=2001:cafe:42:1::1/64
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
`;

function subnetFile(path: string): SubnetFile {
  const own = { name: 'n1', subnets: SUBNETS, backendType: undefined, backendData: {}, publicIp: {} };
  return new SubnetFile(path, { config: dualConfig(), own, mtu: 1450, ipMasq: true });
}

test('the subnet file is written byte for byte, readable by all, and only when needed', () => {
  const path = join(folder, 'run', 'subnet.env');
  const file = subnetFile(path);
  expect(file.ensure()).toBe(true);
  expect(readFileSync(path, 'utf8')).toBe(TEXT);
  expect(statSync(path).mode & 0o777).toBe(0o644);
  const before = statSync(path).ino;
  expect(file.ensure()).toBe(false);
  expect(statSync(path).ino).toBe(before);
  writeFileSync(path, `${TEXT}X=1\n`);
  expect(file.ensure()).toBe(true);
  expect(readFileSync(path, 'utf8')).toBe(TEXT);
});

test('an empty folder in its place goes, a mode that hides it too', () => {
  const path = join(folder, 'subnet.env');
  mkdirSync(path);
  expect(subnetFile(path).ensure()).toBe(true);
  chmodSync(path, 0o600);
  expect(subnetFile(path).ensure()).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o644);
});

test('kept: repairs are told, and an error until it is over', async () => {
  const path = join(folder, 'subnet.env');
  mkdirSync(join(path, 'full'), { recursive: true });
  const results: boolean[] = [];
  let repairs = 0;
  const stop = subnetFile(path).keep({
    onResult: (error) => results.push(error === undefined),
    onRepair: () => (repairs += 1),
  });
  try {
    expect(results).toEqual([false]);
    rmSync(path, { recursive: true });
    while (repairs < 1) await Bun.sleep(20);
    expect([results.at(-1), repairs]).toEqual([true, 1]);
    rmSync(path);
    while (repairs < 2) await Bun.sleep(20);
    expect([readFileSync(path, 'utf8'), repairs]).toEqual([TEXT, 2]);
  } finally {
    stop();
  }
  rmSync(path);
  await Bun.sleep(600);
  expect(existsSync(path)).toBe(false);
});

const content = (urgent: string, count = 0, age = 0): StatusContent => ({
  urgent,
  status: { reason: urgent, count },
  passing: { age },
});

test('the status file: readiness at once, the rest once a second, and nothing without news', async () => {
  const path = join(folder, 'run', 'status.json');
  const clock = new ManualClock();
  const status = new StatusFile(path, clock);
  const read = (): unknown => JSON.parse(readFileSync(path, 'utf8'));
  expect(status.update(content('waiting'))).toBe(true);
  expect(read()).toEqual({ reason: 'waiting', count: 0, age: 0, writtenAt: '1970-01-01T00:00:00.000Z' });
  await clock.advance(5000);
  expect(status.update(content('waiting', 0, 5))).toBe(false);
  expect(status.update(content('waiting', 1, 5))).toBe(true);
  await clock.advance(999);
  expect(status.update(content('waiting', 2))).toBe(false);
  expect(read()).toMatchObject({ count: 1, age: 5 });
  expect(status.update(content('ready', 2))).toBe(true);
  await clock.advance(999);
  expect(status.update(content('ready', 3))).toBe(false);
  await clock.advance(1);
  expect(status.update(content('ready', 3, 6))).toBe(true);
  expect(read()).toEqual({ reason: 'ready', count: 3, age: 6, writtenAt: '1970-01-01T00:00:06.999Z' });
  expect(readdirSync(join(folder, 'run'))).toEqual(['status.json']);
});

test('a status that could not be written is tried again', () => {
  const blocked = join(folder, 'file');
  writeFileSync(blocked, '');
  chmodSync(blocked, 0o644);
  const status = new StatusFile(join(blocked, 'status.json'), new ManualClock());
  expect(() => status.update(content('ready'))).toThrow();
  rmSync(blocked);
  expect(status.update(content('ready'))).toBe(true);
  expect(existsSync(join(blocked, 'status.json'))).toBe(true);
});
