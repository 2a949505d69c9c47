import { afterEach, beforeEach, expect, test } from 'bun:test';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { type Lease, sameLease } from '../lease.ts';
import type { Snapshot, SnapshotOwner } from './snapshot.ts';
import { readSnapshot, writeSnapshot } from './snapshot-file.ts';

const V4 = Cidr.parse('10.0.0.0/8');
const V6 = Cidr.parse('2001:cafe::/32');
const OWNER: SnapshotOwner = { source: 'kube p/', node: 'n1', networks: { ipv4: V4, ipv6: V6 } };

function lease(index: number): Lease {
  const [a, b] = [index >> 8, index & 255];
  return {
    name: `node-${index}.example`,
    backendType: 'vxlan',
    families: {
      ipv4: {
        subnet: Cidr.parse(`10.${a + 1}.${b}.0/24`),
        publicIp: Ip.parse(`192.168.${a}.${b}`),
        backendData: `{"VNI":1,"VtepMAC":"12:00:00:00:${a}:${b}","x":"\\n\\u2028ä"}`,
      },
      ipv6: {
        subnet: Cidr.parse(`2001:cafe:${index.toString(16)}::/64`),
        publicIp: Ip.parse('fd50::12'),
        backendData: 'null',
      },
    },
  };
}

function snapshot(count: number): Snapshot {
  return {
    own: {
      name: 'n1',
      subnets: { ipv4: Cidr.parse('10.0.7.0/24'), ipv6: Cidr.parse('2001:cafe:ffff::/64') },
      backendType: 'vxlan',
      backendData: { ipv4: '{"VtepMAC":"12:c6:65:89:b4:e3"}', ipv6: 'null' },
      publicIp: { ipv4: Ip.parse('203.0.113.7') },
    },
    leases: new Map(Array.from({ length: count }, (_, at) => lease(at)).map((each) => [each.name, each])),
  };
}

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/last-known-`);
  path = `${dir}/new/last-known`;
});

afterEach(() => rmSync(dir, { recursive: true }));

async function reason(owner = OWNER): Promise<string> {
  const read = await readSnapshot(path, owner);
  expect(read.snapshot).toBeUndefined();
  return 'reason' in read ? read.reason : '';
}

test('comes back as it went, in a file for root alone, and leaves nothing else', async () => {
  const before = snapshot(3000);
  const bytes = await writeSnapshot(path, OWNER, before);
  expect(statSync(path)).toMatchObject({ size: bytes });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(existsSync(`${path}.tmp`)).toBe(false);
  const { snapshot: after } = await readSnapshot(path, OWNER);
  expect(JSON.stringify(after?.own)).toBe(JSON.stringify(before.own));
  expect(after?.leases.size).toBe(3000);
  for (const [name, each] of before.leases)
    expect(sameLease(after?.leases.get(name) ?? lease(0), each)).toBe(true);
});

test('no peers, and another write over it', async () => {
  await writeSnapshot(path, OWNER, snapshot(2));
  await writeSnapshot(path, OWNER, snapshot(0));
  expect((await readSnapshot(path, OWNER)).snapshot?.leases.size).toBe(0);
});

test('a write that fails leaves the old file and no other', async () => {
  await writeSnapshot(path, OWNER, snapshot(2));
  const broken = new Map([
    [
      'x',
      {
        ...lease(1),
        get name(): string {
          throw new Error('broken');
        },
      },
    ],
  ]);
  const failed = writeSnapshot(path, OWNER, { own: snapshot(0).own, leases: broken });
  expect(String(await failed.catch((thrown: unknown) => thrown))).toContain('broken');
  expect((await readSnapshot(path, OWNER)).snapshot?.leases.size).toBe(2);
  expect(existsSync(`${path}.tmp`)).toBe(false);
});

test('a missing file is no fault', async () => {
  expect(await readSnapshot(path, OWNER)).toEqual({
    snapshot: undefined,
    missing: true,
    reason: 'there is none',
  });
});

test('cut off anywhere: never used', async () => {
  const bytes = await writeSnapshot(path, OWNER, snapshot(3));
  const text = readFileSync(path);
  for (let length = 0; length < bytes - 1; length += 1) {
    writeFileSync(path, text);
    truncateSync(path, length);
    expect(await reason()).not.toBe('');
  }
});

test('one byte changed anywhere: never used', async () => {
  await writeSnapshot(path, OWNER, snapshot(2));
  const text = readFileSync(path);
  for (let at = 0; at < text.length - 1; at += 1) {
    const changed = Buffer.from(text);
    changed[at] = (changed[at] ?? 0) ^ 1;
    writeFileSync(path, changed);
    expect((await readSnapshot(path, OWNER)).snapshot).toBeUndefined();
  }
});

/** The file as somebody would write it who knows the format. */
function forge(change: (lines: string[]) => void): void {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -2);
  change(lines);
  const body = lines.map((each) => `${each}\n`).join('');
  const sha256 = new Bun.CryptoHasher('sha256').update(body).digest('hex');
  writeFileSync(path, `${body}${JSON.stringify({ peers: lines.length - 1, sha256 })}\n`);
}

const PEER = { name: 'x', backendType: 'vxlan' };
const GOOD = { subnet: '10.9.0.0/24', publicIp: '192.168.9.9', backendData: 'null' };

test.each([
  [{ ...PEER, name: '../../etc', ipv4: GOOD }, 'has no name'],
  [{ ...PEER, backendType: 'a\nb', ipv4: GOOD }, 'has no backend type'],
  [PEER, 'has no family'],
  [{ ...PEER, ipv4: { ...GOOD, subnet: '10.9.0.1/24' } }, 'no ipv4 network'],
  [{ ...PEER, ipv4: { ...GOOD, subnet: '11.9.0.0/24' } }, 'outside of the network'],
  [{ ...PEER, ipv4: { ...GOOD, subnet: 'fd00::/64' } }, 'no ipv4 network'],
  [{ ...PEER, ipv4: { ...GOOD, publicIp: '127.0.0.1' } }, 'no unicast ipv4 address'],
  [{ ...PEER, ipv4: { ...GOOD, backendData: 'x'.repeat(4097) } }, 'backend data'],
  [{ ...PEER, ipv4: { ...GOOD, backendData: 'x'.repeat(200_000) } }, 'too long'],
  [{ ...PEER, ipv4: 7 }, 'cannot be read'],
  ['x', 'cannot be read'],
])('a hostile peer %#: nothing of the file is used', async (peer, words) => {
  await writeSnapshot(path, OWNER, snapshot(1));
  forge((lines) => lines.push(JSON.stringify({ ...PEER, name: 'y', ipv4: GOOD })));
  expect((await readSnapshot(path, OWNER)).snapshot?.leases.size).toBe(2);
  forge((lines) => lines.push(JSON.stringify(peer)));
  expect(await reason()).toContain(words);
});

test.each([
  [(head: Record<string, unknown>) => ({ ...head, format: 'other' }), 'no record'],
  [(head: Record<string, unknown>) => ({ ...head, version: 2 }), 'another version'],
  [(head: Record<string, unknown>) => ({ ...head, source: 'kube q/' }), 'another store'],
  [
    (head: Record<string, unknown>) => ({ ...head, networks: { ipv4: '10.0.0.0/8' } }),
    'ipv6 network is none',
  ],
  [
    (head: Record<string, unknown>) => ({ ...head, own: { ...(head['own'] as object), name: 'n2' } }),
    'of the node n2',
  ],
  [
    (head: Record<string, unknown>) => ({
      ...head,
      own: { ...(head['own'] as object), subnets: { ipv4: '11.0.0.0/24', ipv6: '2001:cafe:ffff::/64' } },
    }),
    'does not fit',
  ],
  [(head: Record<string, unknown>) => ({ ...head, own: null }), 'own cannot be read'],
])('a head that does not fit %#', async (change, words) => {
  await writeSnapshot(path, OWNER, snapshot(1));
  forge((lines) => {
    lines[0] = JSON.stringify(change(JSON.parse(lines[0] ?? '') as Record<string, unknown>));
  });
  expect(await reason()).toContain(words);
});

test('the own node is no peer, and any node will do when the name is not known', async () => {
  await writeSnapshot(path, OWNER, snapshot(1));
  forge((lines) => lines.push(JSON.stringify({ ...PEER, name: 'n1', ipv4: GOOD })));
  const { snapshot: read } = await readSnapshot(path, { ...OWNER, node: undefined });
  expect(read?.own.name).toBe('n1');
  expect([...(read?.leases.keys() ?? [])]).toEqual(['node-0.example']);
});

test('a file of others, a link, a pipe, a folder, one that is too large: not read', async () => {
  await writeSnapshot(path, OWNER, snapshot(1));
  chmodSync(path, 0o620);
  expect(await reason()).toContain('others may have written it');
  chmodSync(path, 0o600);
  const real = path;
  path = `${dir}/link`;
  symlinkSync(real, path);
  expect(await reason()).toContain('ELOOP');
  path = `${dir}/pipe`;
  Bun.spawnSync(['mkfifo', '-m', '600', path]);
  expect(await reason()).toContain('it is no file');
  path = dir;
  expect(await reason()).toContain('it is no file');
  path = `${dir}/large`;
  writeFileSync(path, '', { mode: 0o600 });
  truncateSync(path, (64 << 20) + 1);
  expect(await reason()).toContain('longer than');
  truncateSync(path, 1 << 20);
  expect(await reason()).toContain('too long');
});
