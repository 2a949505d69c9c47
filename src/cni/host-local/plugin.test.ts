import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as fc from 'fast-check';
import { FlannelError } from '#base/errors.ts';
import type { Command } from '../environment.ts';
import type { JsonObject } from '../json.ts';
import { readNetConf, type Host, type Invocation } from '../plugin.ts';
import { hostLocalAdd, hostLocalPlugin } from './plugin.ts';

let root: string;
let warnings: string[];

beforeEach(() => {
  root = mkdtempSync(`${tmpdir()}/flannel-host-local-`);
  warnings = [];
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

interface Given {
  readonly id?: string;
  readonly command?: Command;
  readonly boot?: string;
  readonly netns?: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly ipam?: JsonObject;
  readonly conf?: JsonObject;
}

function invocation(given: Given = {}): Invocation {
  const { id = 'pod', command = 'ADD', boot = 'boot1', netns = '', args = {}, ipam = {}, conf = {} } = given;
  const host: Host = {
    env: {},
    wallClock: () => 0,
    now: () => 0,
    sleep: () => {},
    random: (count) => new Uint8Array(count),
    untilExit: (resource) => resource,
    bootId: () => boot,
    warn: (line) => void warnings.push(line),
  };
  const raw = {
    cniVersion: '1.1.0',
    name: 'net',
    ipam: {
      type: 'host-local',
      dataDir: root,
      ...(ipam['ranges'] ? {} : { subnet: '10.9.0.0/28' }),
      ...ipam,
    },
    ...conf,
  };
  const extra = new Map(Object.entries(args));
  return {
    command,
    args: { containerId: id, netns, ifName: 'eth0', extra, path: [] },
    conf: readNetConf(raw),
    host,
  };
}

async function add(given: Given = {}): Promise<string> {
  const { ips } = await hostLocalAdd(invocation(given), async () => undefined);
  return ips.map(({ address }) => address.toString()).join(' ');
}

async function del(given: Given = {}): Promise<void> {
  await hostLocalPlugin.del(invocation({ ...given, command: 'DEL' }));
}

/** Files that hold something, side files included. */
function reservations(): string[] {
  const names = readdirSync(`${root}/net`, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => !/^(lock|\.boot|last_reserved_ip\.\d)$/.test(name)).sort();
}

test('500 times ADD and DEL leave an empty store, in an order that mixes them', async () => {
  const living: string[] = [];
  for (let round = 0; round < 500; round += 1) {
    const id = `pod${round}`;
    await add({ id });
    living.push(id);
    // A small range, nearly full all the time; every third DEL comes twice, every fifth without a namespace.
    if (living.length < 10) continue;
    const [gone] = living.splice((round * 7) % living.length, 1);
    for (let time = round % 3 === 0 ? 2 : 1; time > 0; time -= 1)
      await del({
        ...(gone === undefined ? {} : { id: gone }),
        netns: round % 5 === 0 ? '' : '/run/netns/gone',
      });
  }
  for (const id of living) await del({ id });
  expect(reservations()).toEqual([]);
}, 60_000);

test('boot after boot without a single DEL: each starts with an empty store', async () => {
  for (let boot = 0; boot < 20; boot += 1) {
    for (let pod = 0; pod < 13; pod += 1) await add({ id: `b${boot}p${pod}`, boot: `boot${boot}` });
    expect(add({ id: 'one-more', boot: `boot${boot}` })).rejects.toThrow(/no IP addresses available/);
    expect(reservations()).toHaveLength(2 * 13);
  }
});

test('a full range: the address of a container whose namespace is gone comes back', async () => {
  const netns = (id: string) => `${root}/${id}.ns`;
  for (let pod = 0; pod < 13; pod += 1) {
    const id = `p${pod}`;
    writeFileSync(netns(id), '');
    await add({ id, netns: netns(id) });
  }
  const late = { id: 'late', netns: netns('p0') };
  expect(add(late)).rejects.toThrow(/no IP addresses available/);
  rmSync(netns('p5'));
  expect(await add(late)).toBe('10.9.0.7/28');
  expect(add({ id: 'later' })).rejects.toThrow(/no IP addresses available/);
  // What still has its namespace is not touched, not even when it is asked for.
  expect(add({ id: 'later', conf: { runtimeConfig: { ips: ['10.9.0.8'] } } })).rejects.toThrow(/p6 holds it/);
  rmSync(netns('p6'));
  expect(await add({ id: 'later', conf: { runtimeConfig: { ips: ['10.9.0.8'] } } })).toBe('10.9.0.8/28');
  // The late DEL of the container that is gone takes nothing from the new one.
  await del({ id: 'p5' });
  await hostLocalPlugin.check(invocation({ id: 'late', command: 'CHECK' }));
});

test('another namespace under the same path: the first one is gone', async () => {
  const ranges = [[{ subnet: '10.9.0.0/29', rangeStart: '10.9.0.2', rangeEnd: '10.9.0.2' }]];
  const netns = `${root}/ns`;
  writeFileSync(netns, '');
  await add({ id: 'a', netns, ipam: { ranges } });
  writeFileSync(`${root}/other`, '');
  rmSync(netns);
  writeFileSync(`${root}/third`, '');
  mkdirSync(netns);
  expect(await add({ id: 'b', netns, ipam: { ranges } })).toBe('10.9.0.2/29');
});

test('whoever does not see the folder of the namespace judges nobody', async () => {
  const ranges = [[{ subnet: '10.9.0.0/29', rangeStart: '10.9.0.2', rangeEnd: '10.9.0.2' }]];
  const netns = `${root}/ns`;
  writeFileSync(netns, '');
  await add({ id: 'a', netns, ipam: { ranges } });
  const side = `${root}/net/.boot/10.9.0.2`;
  const text = readFileSync(side, 'utf8');
  expect(text).toMatch(/^boot1\r\na\r\neth0\r\nnetns \d+:\d+ \d+:\d+ \//);
  rmSync(netns);
  writeFileSync(side, text.replace(/netns \d+:\d+ /, 'netns 1:1 '));
  expect(add({ id: 'b', ipam: { ranges } })).rejects.toThrow(/no IP addresses available/);
  // Seen, but not what is mounted there: a file of another file system is no answer.
  writeFileSync(netns, '');
  writeFileSync(side, text.replace(/(netns \S+) \S+ /, '$1 1:1 '));
  expect(add({ id: 'b', ipam: { ranges } })).rejects.toThrow(/no IP addresses available/);
  rmSync(netns);
  writeFileSync(side, text);
  expect(await add({ id: 'b', ipam: { ranges } })).toBe('10.9.0.2/29');
});

test('GC frees what is not in the list, CHECK then misses it, GC again finds nothing', async () => {
  for (const id of ['a', 'b']) await add({ id });
  const valid = { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] };
  await hostLocalPlugin.gc(invocation({ command: 'GC', conf: valid }));
  expect(warnings).toEqual([expect.stringContaining('GC freed 1 addresses: 10.9.0.2')]);
  expect(() => hostLocalPlugin.check(invocation({ id: 'a', command: 'CHECK' }))).toThrow(
    /Failed to find address/,
  );
  await hostLocalPlugin.check(invocation({ id: 'b', command: 'CHECK' }));
  await hostLocalPlugin.gc(invocation({ command: 'GC', conf: valid }));
  expect(warnings).toHaveLength(1);
  for (const list of [undefined, {}, ['b'], [{ containerID: 'b' }]]) {
    const conf = list === undefined ? {} : { 'cni.dev/valid-attachments': list };
    expect(() => hostLocalPlugin.gc(invocation({ command: 'GC', conf }))).toThrow(
      /cni.dev\/valid-attachments/,
    );
  }
});

test('STATUS says what keeps ADD from working', async () => {
  const file = `${root}.file`;
  writeFileSync(file, '');
  await hostLocalPlugin.status(invocation({ command: 'STATUS' }));
  expect(() =>
    hostLocalPlugin.status(invocation({ command: 'STATUS', ipam: { dataDir: `${file}/nothing` } })),
  ).toThrow(`${file} cannot be written`);
  expect(() =>
    hostLocalPlugin.status(invocation({ command: 'STATUS', ipam: { subnet: '10.9.0.0/32' } })),
  ).toThrow(/too small/);
  rmSync(file);
  // It makes nothing.
  expect(readdirSync(root)).toEqual([]);
});

test('resolvConf becomes dns; a missing file is named', async () => {
  const resolvConf = `${root}/resolv.conf`;
  writeFileSync(
    resolvConf,
    '# by hand\nnameserver 10.0.0.53 # the first\n nameserver\t2001:db8::53\nsearch old\nsearch a.test b.test\n' +
      'domain c.test\noptions ndots:5 edns0\noptions rotate\nnameserver\nsortlist 1.2.3.4\n; end',
  );
  const { dns } = await hostLocalAdd(invocation({ ipam: { resolvConf } }), async () => undefined);
  expect(dns).toEqual({
    nameservers: ['10.0.0.53', '2001:db8::53'],
    domain: 'c.test',
    search: ['a.test', 'b.test'],
    options: ['ndots:5', 'edns0', 'rotate'],
  });
  expect(add({ id: 'b', ipam: { resolvConf: `${root}/none` } })).rejects.toThrow(`${root}/none`);
  expect(await add({ id: 'c' })).toBe('10.9.0.3/28');
});

test('what a runtime says beside addresses does no harm', async () => {
  const runtimeConfig = {
    bandwidth: { ingressRate: 1, egressRate: 2 },
    dns: { servers: ['10.0.0.53'], searches: ['a'] },
    portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }],
    mac: '02:00:00:00:00:01',
    'io.kubernetes.cri.pod-annotations': { a: 'b' },
  };
  const args = { cni: { labels: [{ key: 'app', value: 'x' }] }, 'org.other': 1 };
  const result = await hostLocalAdd(
    invocation({ conf: { runtimeConfig, args }, args: { IgnoreUnknown: '1', K8S_POD_NAME: 'p', MAC: 'x' } }),
    async () => undefined,
  );
  expect(result.ips).toHaveLength(1);
  expect(result.dns).toEqual({});
});

test('a store of anything at all: ADD gives a free address or a reason, DEL frees it', async () => {
  const address = fc.integer({ min: 0, max: 17 }).map((last) => `10.9.0.${last}`);
  const name = fc.oneof(address, fc.constantFrom('last_reserved_ip.0', '.new', 'x', '10.9.0.2 ', '::1'));
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.constantFrom(
      'other\r\neth0',
      'other\neth0\n',
      'other',
      'fuzz\r\neth0',
      'fuzz',
      'other\r\neth0\r\nnet1',
    ),
    fc.constantFrom(
      'b\r\nother\r\neth0',
      'boot1\r\nother\r\neth0',
      'b\r\nother\r\neth0\r\nnetns 1 2 /x',
      '\r\n\r\n',
    ),
    address,
  );
  const file = fc.record({ name, text, side: fc.boolean(), folder: fc.boolean() });
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 12 }), async (files) => {
      const dataDir = `${root}/${(round += 1)}`;
      mkdirSync(`${dataDir}/net/.boot`, { recursive: true });
      const before = new Map<string, string>();
      for (const entry of files) {
        const path = `${dataDir}/net/${entry.side ? '.boot/' : ''}${entry.name}`;
        // A name may come twice.
        rmSync(path, { recursive: true, force: true });
        // A folder in the place of one of our own files is refused, which another test shows.
        if (entry.folder && !entry.side && entry.name.startsWith('10.')) mkdirSync(path);
        else writeFileSync(path, entry.text);
        if (!entry.side) before.set(entry.name, entry.folder ? '' : entry.text);
      }
      const given = { id: 'fuzz', ipam: { dataDir } };
      try {
        const ip = (await add(given)).replace('/28', '');
        expect(readFileSync(`${dataDir}/net/${ip}`, 'utf8')).toBe('fuzz\r\neth0');
        expect(ip).toMatch(/^10\.9\.0\.([2-9]|1[0-4])$/);
      } catch (error) {
        expect(error).toBeInstanceOf(FlannelError);
        expect(String(error)).toMatch(/duplicate allocation/);
      }
      await del(given);
      expect(() => hostLocalPlugin.check(invocation({ ...given, command: 'CHECK' }))).toThrow(
        /Failed to find/,
      );
      await hostLocalPlugin.gc(
        invocation({ ...given, command: 'GC', conf: { 'cni.dev/valid-attachments': [] } }),
      );
    }),
    { numRuns: 150, interruptAfterTimeLimit: 3_000 },
  );
}, 60_000);
