import { expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { MemoryDirectRoutes } from './direct-routes.ts';
import type { FakeKernel } from './fake-kernel.ts';
import { testDirectRoute, testKernel, testLink, testMac, testPeer, testPlan } from './fixtures.ts';
import type { KernelOp } from './kernel.ts';
import { describeEntry, entryKey, type Entry, type HostPlan, type VxlanLink } from './plan.ts';
import { Reconciler } from './reconcile.ts';

interface Host {
  readonly kernel: FakeKernel;
  readonly reconciler: Reconciler;
}

function host(): Host {
  const kernel = testKernel();
  const directRoutes = new MemoryDirectRoutes();
  return { kernel, reconciler: new Reconciler({ kernel, directRoutes, log: silentLogger }) };
}

/** A host that is as `plan` wants it, with an empty log. */
function sound(plan: HostPlan): Host {
  const made = host();
  expect(made.reconciler.full(plan).errors).toEqual([]);
  made.kernel.log.length = 0;
  return made;
}

const words = (op: KernelOp): string => ('entry' in op ? `${op.op} ${describeEntry(op.entry)}` : op.op);
const index = (kernel: FakeKernel, name = 'flannel.1') =>
  kernel.links().find((link) => link.name === name)?.index ?? -1;

const PLAN = testPlan([...testPeer(2), ...testPeer(3)]);

test('from nothing: the device, its address, then neighbours and FDB before routes', () => {
  const { kernel, reconciler } = host();
  const report = reconciler.full(PLAN);
  expect(report.errors).toEqual([]);
  expect(report.foundCount).toBe(8);
  const ops = kernel.log.map((op) => ('entry' in op ? op.entry.type : op.op));
  expect(ops.slice(0, 3)).toEqual(['create-vxlan', 'set-link', 'add-address']);
  expect(ops.slice(3).sort()).toEqual(['fdb', 'fdb', 'neighbour', 'neighbour', 'route', 'route']);
  expect(ops.slice(-2)).toEqual(['route', 'route']);
  expect(kernel.settled).toEqual(['flannel.1']);
  expect(kernel.links().find(({ name }) => name === 'flannel.1')).toMatchObject({ mtu: 1450, up: true });
});

test('what is there is adopted without a write', () => {
  const { kernel, reconciler } = sound(PLAN);
  expect(reconciler.full(PLAN)).toEqual({
    written: 0,
    found: [],
    stale: [],
    foundCount: 0,
    mended: new Map(),
    errors: [],
    blocking: undefined,
  });
  expect(kernel.log).toEqual([]);
  // So it is by another process, which knows nothing.
  const next = new Reconciler({ kernel, directRoutes: new MemoryDirectRoutes(), log: silentLogger });
  expect(next.devices(testPlan([])).found).toEqual([]);
  expect(next.full(PLAN).found).toEqual([]);
  expect(kernel.log).toEqual([]);
});

test('devices alone leaves the entries of an earlier run', () => {
  const { kernel, reconciler } = sound(PLAN);
  expect(reconciler.devices(testPlan([])).foundCount).toBe(0);
  expect(kernel.neighbours(index(kernel), 'ipv4')).toHaveLength(2);
});

const INCOMPATIBLE: readonly (readonly [Partial<VxlanLink>, string])[] = [
  [{ vni: 7 }, 'VNI 7, not 1'],
  [{ port: 4789 }, 'port 4789, not 8472'],
  [{ local: Ip.parse('192.168.50.99') }, 'local 192.168.50.99, not 192.168.50.11'],
  [{ parent: 'eth1' }, 'another parent than eth0'],
  [{ learning: true }, 'learning on'],
  [{ gbp: true }, 'gbp on'],
];

for (const [change, text] of INCOMPATIBLE) {
  test(`a device with ${Object.keys(change)[0]} of its own is made anew, with all entries`, () => {
    const { kernel, reconciler } = host();
    kernel.addDevice('eth1');
    const link = testLink(change);
    kernel.apply([
      { op: 'create-vxlan', link },
      { op: 'set-link', name: 'flannel.1', up: true },
    ]);
    const old = index(kernel);
    const report = reconciler.full(PLAN);
    expect(report.errors).toEqual([]);
    expect(report.found[0]).toBe(`link flannel.1 has ${text}`);
    expect(index(kernel)).not.toBe(old);
    expect(reconciler.full(PLAN).foundCount).toBe(0);
    expect(kernel.settled).toEqual(['flannel.1']);
  });
}

const CHANGEABLE: readonly (readonly [KernelOp, string])[] = [
  [{ op: 'set-link', name: 'flannel.1', mtu: 1400 }, 'link flannel.1 has MTU 1400, not 1450'],
  [
    { op: 'set-link', name: 'flannel.1', mac: testMac(9) },
    `link flannel.1 has MAC ${testMac(9)}, not ce:13:be:ae:4d:53`,
  ],
];

for (const [damage, text] of CHANGEABLE) {
  test(`${text}: changed in place`, () => {
    const { kernel, reconciler } = sound(PLAN);
    const before = index(kernel);
    kernel.apply([damage]);
    kernel.log.length = 0;
    expect(reconciler.full(PLAN).found).toEqual([text]);
    expect(kernel.log.map(words)).toEqual(['set-link']);
    expect(index(kernel)).toBe(before);
    expect(reconciler.full(PLAN).foundCount).toBe(0);
  });
}

test('a device that is down is brought up', () => {
  const { kernel, reconciler } = host();
  kernel.apply([{ op: 'create-vxlan', link: testLink() }]);
  expect(reconciler.full(PLAN).found[0]).toBe('link flannel.1 is down');
  expect(reconciler.full(PLAN).foundCount).toBe(0);
});

test('a device of another kind in our place is replaced', () => {
  const { kernel, reconciler } = host();
  kernel.addDevice('flannel.1');
  const report = reconciler.full(PLAN);
  expect(report.found[0]).toBe('link flannel.1 has kind device, not vxlan');
  expect(report.errors).toEqual([]);
  expect(reconciler.full(PLAN).foundCount).toBe(0);
});

test('devices of an earlier configuration go; those of others stay', () => {
  const { kernel, reconciler } = host();
  const stale = ['flannel.7', 'flannel-v6.1'];
  kernel.apply(stale.map((name, at) => ({ op: 'create-vxlan', link: testLink({ name, vni: 7 + at }) })));
  kernel.apply([{ op: 'create-vxlan', link: testLink({ name: 'vxlan.calico', vni: 4096 }) }]);
  kernel.addDevice('flannel.9');
  const report = reconciler.full(PLAN);
  expect(report.found.slice(0, 2)).toEqual(stale.map((name) => `link ${name} of an earlier configuration`));
  const names = kernel.links().map(({ name }) => name);
  expect(names).toEqual(['eth0', 'vxlan.calico', 'flannel.9', 'flannel.1']);
});

test('addresses: missing ones come, foreign ones go, link-local ones stay', () => {
  const { kernel, reconciler } = sound(PLAN);
  const foreign = Cidr.parse('10.9.9.9/24');
  kernel.apply([
    { op: 'delete-address', link: 'flannel.1', cidr: Cidr.parse('10.244.1.0/32') },
    { op: 'add-address', link: 'flannel.1', cidr: foreign },
    { op: 'add-address', link: 'eth0', cidr: foreign },
  ]);
  const report = reconciler.full(PLAN);
  expect(report.found).toEqual([
    'address 10.9.9.9/24 on flannel.1 is not planned',
    'address 10.244.1.0/32 missing on flannel.1',
  ]);
  expect(kernel.addresses(index(kernel)).map(({ cidr }) => String(cidr))).toEqual(['10.244.1.0/32']);
  expect(kernel.addresses(index(kernel, 'eth0'))).toHaveLength(1);
});

for (const [at, entry] of testPeer(2).entries()) {
  test(`${entry.type}: missing, wrong and surplus`, () => {
    const { kernel, reconciler } = sound(PLAN);
    kernel.apply([{ op: 'remove', entry }]);
    expect(reconciler.full(PLAN).found).toEqual([`${describeEntry(entry)} missing`]);
    const wrong: Entry =
      entry.type === 'neighbour'
        ? { ...entry, mac: testMac(99) }
        : entry.type === 'fdb'
          ? { ...entry, dst: Ip.parse('192.168.50.99') }
          : { ...entry, gateway: Ip.parse('10.244.2.9') };
    kernel.apply([{ op: 'put', entry: wrong }]);
    expect(reconciler.full(PLAN).found).toEqual([`${describeEntry(wrong)} is not as planned`]);
    const surplus = testPeer(77)[at] ?? entry;
    kernel.apply([{ op: 'put', entry: surplus }]);
    kernel.log.length = 0;
    expect(reconciler.full(PLAN).found).toEqual([`${describeEntry(surplus)} is not planned`]);
    expect(kernel.log.map(words)).toEqual([`remove ${describeEntry(surplus)}`]);
    expect(reconciler.full(PLAN).foundCount).toBe(0);
  });
}

test("others' routes are neither seen nor touched", () => {
  const { kernel, reconciler } = sound(PLAN);
  const link = index(kernel);
  const common = { gateway: Ip.parse('192.168.50.1'), onlink: false, byKernel: false, priority: undefined };
  const foreign = [
    { ...common, dst: Cidr.parse('10.77.0.0/16'), link: index(kernel, 'eth0') },
    { ...common, dst: Cidr.parse('10.244.2.0/24'), link, priority: 50 },
    { ...common, dst: Cidr.parse('10.88.0.0/16'), link, priority: 50 },
    { ...common, dst: Cidr.parse('10.89.0.0/16'), link, byKernel: true },
    { ...common, dst: Cidr.parse('10.90.0.0/16'), gateway: undefined, link },
    { ...common, dst: undefined, link: index(kernel, 'eth0') },
  ];
  for (const route of foreign) kernel.addRoute(route);
  expect(reconciler.full(PLAN).found).toEqual([]);
  expect(kernel.log).toEqual([]);
});

test('a change writes the new before it removes the old, and no more than that', () => {
  const { kernel, reconciler } = sound(PLAN);
  const [neighbour, fdb, route] = testPeer(2) as [Entry, Entry, Entry];
  if (neighbour === undefined || fdb === undefined || route === undefined) throw new Error('three entries');
  const moved = testPeer(4);
  expect(reconciler.change(PLAN, { put: [...moved].reverse(), remove: [neighbour, fdb, route] })).toEqual([]);
  const order = kernel.log.map((op) => ('entry' in op ? `${op.op} ${op.entry.type}` : op.op));
  expect(order).toEqual([
    'put fdb',
    'put neighbour',
    'put route',
    'remove route',
    'remove neighbour',
    'remove fdb',
  ]);
});

test('what is gone already is no error; what is refused is, and does not stop the rest', () => {
  const { kernel, reconciler } = sound(PLAN);
  expect(reconciler.change(PLAN, { put: [], remove: testPeer(50) })).toEqual([]);
  kernel.refuse = (op) => (op.op === 'put' && op.entry.type === 'route' ? 'ENETUNREACH' : undefined);
  const errors = reconciler.change(PLAN, { put: testPeer(5), remove: [] });
  expect(errors.map((error) => error.message)).toEqual(['put: network is unreachable (ENETUNREACH)']);
  expect(kernel.neighbours(index(kernel), 'ipv4')).toHaveLength(3);
  const report = reconciler.full(testPlan([...testPeer(2), ...testPeer(3), ...testPeer(5)]));
  expect(report.errors).toHaveLength(1);
  expect(report.found).toEqual(['route 10.244.5.0/24 via 10.244.5.0 dev flannel.1 missing']);
});

test('a device that cannot be made: reported, with the entries that have no place', () => {
  const { kernel, reconciler } = host();
  kernel.refuse = (op) => (op.op === 'create-vxlan' ? 'EOPNOTSUPP' : undefined);
  const report = reconciler.full(PLAN);
  expect(report.errors[0]?.message).toContain('EOPNOTSUPP');
  expect(kernel.settled).toEqual([]);
  kernel.refuse = undefined;
  expect(reconciler.full(PLAN).errors).toEqual([]);
});

test('what was mended is counted by kind, and what the kernel refuses is known', () => {
  const { kernel, reconciler } = sound({ ...PLAN, blackholes: [Cidr.parse('10.244.1.0/24')] });
  const [neighbour, fdb, route] = testPeer(2) as [Entry, Entry, Entry];
  kernel.apply([
    { op: 'set-link', name: 'flannel.1', mtu: 1400, mac: testMac(9) },
    { op: 'add-address', link: 'flannel.1', cidr: Cidr.parse('192.0.2.1/32') },
    { op: 'remove', entry: neighbour },
    { op: 'remove', entry: fdb },
    { op: 'remove', entry: route },
    ...testPeer(9).flatMap((entry) => (entry.type === 'route' ? [{ op: 'put' as const, entry }] : [])),
  ]);
  kernel.refuse = (op) => (op.op === 'put' && op.entry.type === 'fdb' ? 'ENOSPC' : undefined);
  const report = reconciler.full(PLAN);
  expect(report.foundCount).toBe(8);
  expect(Object.fromEntries(report.mended)).toEqual({
    link: 1,
    mac: 1,
    address: 1,
    neighbour: 1,
    route: 2,
    blackhole: 1,
  });
  expect([...reconciler.refused]).toEqual([entryKey(fdb)]);
  kernel.refuse = undefined;
  expect(Object.fromEntries(reconciler.full(PLAN).mended)).toEqual({ fdb: 1 });
  expect([...reconciler.refused]).toEqual([]);
  kernel.refuse = (op) => (op.op === 'put' ? 'ENOSPC' : undefined);
  expect(reconciler.change(PLAN, { put: [route], remove: [] })).toHaveLength(1);
  expect([...reconciler.refused]).toEqual([entryKey(route)]);
  kernel.refuse = undefined;
  reconciler.change(PLAN, { put: [route], remove: [] });
  expect([...reconciler.refused]).toEqual([]);
  kernel.refuse = (op) => (op.op === 'create-vxlan' ? 'EOPNOTSUPP' : undefined);
  kernel.apply([{ op: 'delete-link', name: 'flannel.1' }]);
  expect(Object.fromEntries(reconciler.full(PLAN).mended)).toEqual({});
  expect(reconciler.refused.size).toBe(PLAN.entries.size);
});

test('a link that goes while it is read is an error of the pass, not of the program', () => {
  const { kernel, reconciler } = sound(PLAN);
  for (const read of ['devices', 'full'] as const) {
    kernel.failRead = 'ENODEV';
    expect(reconciler[read](PLAN).errors.map((error) => error.message)).toEqual([
      'read addresses: no such device (ENODEV)',
    ]);
  }
  expect(reconciler.full(PLAN).errors).toEqual([]);
});

test('many findings are counted, a few are named', () => {
  const { reconciler } = host();
  const peers = Array.from({ length: 100 }, (_, at) => testPeer(at + 2)).flat();
  const report = reconciler.full(testPlan(peers));
  expect(report.foundCount).toBe(302);
  expect(report.found).toHaveLength(20);
});

test('a blackhole route is made, kept, and swept when it is no longer wanted', () => {
  const dst = Cidr.parse('10.244.1.0/24');
  const wanted: HostPlan = { ...PLAN, blackholes: [dst] };
  const { kernel, reconciler } = sound(wanted);
  expect(kernel.blackholes('ipv4')).toEqual([dst]);
  expect(reconciler.full(wanted).written).toBe(0);
  kernel.apply([{ op: 'delete-blackhole', dst }]);
  expect(reconciler.full(wanted).found).toEqual(['blackhole route 10.244.1.0/24 missing']);
  // At start it may be for a peer that is not known yet.
  expect(reconciler.devices(PLAN).found).toEqual([]);
  expect(reconciler.full(PLAN).found).toEqual(['blackhole route 10.244.1.0/24 is not planned']);
  expect(kernel.blackholes('ipv4')).toEqual([]);
  expect(reconciler.full(PLAN).found).toEqual([]);
});

test('a peer is blocked before its route goes, and has a route before it is blocked no more', () => {
  const dst = Cidr.parse('10.244.2.0/24');
  const open = testPlan([testDirectRoute(2)]);
  const blocked: HostPlan = { ...testPlan([]), blackholes: [dst] };
  const { kernel, reconciler } = sound(open);
  const written = (plan: HostPlan) => {
    kernel.log.length = 0;
    expect(reconciler.full(plan).errors).toEqual([]);
    return kernel.log.map(({ op }) => op);
  };
  expect(written(blocked)).toEqual(['add-blackhole', 'remove']);
  expect(written(open)).toEqual(['put', 'delete-blackhole']);
});

test('devices of another backend carry packets until the new routes are there, and go then', () => {
  const { kernel, reconciler } = sound(testPlan(testPeer(2)));
  const next = testPlan([testDirectRoute(2)], []);
  expect(reconciler.devices(next).found).toEqual([]);
  expect(kernel.links().map(({ name }) => name)).toEqual(['eth0', 'flannel.1']);
  kernel.log.length = 0;
  expect(reconciler.full(next).errors).toEqual([]);
  expect(kernel.log.map(({ op }) => op)).toEqual(['put', 'delete-link']);
  expect(kernel.links().map(({ name }) => name)).toEqual(['eth0']);
  expect(kernel.routes('ipv4')).toHaveLength(1);
  expect(reconciler.full(next).found).toEqual([]);
});

test('devices that may be in use without being planned stay', () => {
  const { kernel, reconciler } = sound(testPlan([]));
  expect(reconciler.full({ ...testPlan([], []), keepDevices: true }).found).toEqual([]);
  expect(kernel.links().map(({ name }) => name)).toEqual(['eth0', 'flannel.1']);
});

test('the checksum offload is set where it is planned, and put back', () => {
  for (const txChecksum of [true, false]) {
    const plan = testPlan(testPeer(2), [testLink({ txChecksum })]);
    const { kernel, reconciler } = sound(plan);
    expect(kernel.txChecksum('flannel.1')).toBe(txChecksum);
    kernel.apply([{ op: 'set-tx-checksum', name: 'flannel.1', on: !txChecksum }]);
    expect(reconciler.full(plan)).toMatchObject({
      written: 1,
      found: [`tx-checksum-ip-generic of flannel.1 is ${txChecksum ? 'off, not on' : 'on, not off'}`],
    });
    expect(kernel.txChecksum('flannel.1')).toBe(txChecksum);
    // A device that is made anew comes with the kernel's default.
    kernel.apply([{ op: 'delete-link', name: 'flannel.1' }]);
    expect(reconciler.full(plan).errors).toEqual([]);
    expect(kernel.txChecksum('flannel.1')).toBe(txChecksum);
  }
});

test('without a wish the checksum offload is not even read', () => {
  const { kernel, reconciler } = sound(PLAN);
  kernel.apply([{ op: 'set-tx-checksum', name: 'flannel.1', on: false }]);
  kernel.txChecksum = () => {
    throw new Error('read');
  };
  expect(reconciler.full(PLAN)).toMatchObject({ written: 0, found: [], errors: [] });
});

test('a kernel that cannot tell or change the checksum offload: an error, and the rest is done', () => {
  const plan = testPlan(testPeer(2), [testLink({ txChecksum: false })]);
  const { kernel, reconciler } = host();
  kernel.refuse = (op) => (op.op === 'set-tx-checksum' ? 'EOPNOTSUPP' : undefined);
  expect(reconciler.full(plan).errors.map(({ message }) => message)).toEqual([
    'set-tx-checksum: not supported by this kernel (EOPNOTSUPP)',
  ]);
  expect(kernel.routes('ipv4', index(kernel))).toHaveLength(1);
  kernel.refuse = undefined;
  kernel.failRead = 'EOPNOTSUPP';
  expect(reconciler.full(plan).errors).toHaveLength(1);
  expect(reconciler.full(plan).errors).toEqual([]);
});

test('settings of a device that somebody changed are put back', () => {
  const { kernel, reconciler } = sound(PLAN);
  expect(reconciler.full(PLAN).found).toEqual([]);
  kernel.unsettle('flannel.1');
  expect(reconciler.full(PLAN).found).toEqual(['accept_ra of flannel.1 was not 0']);
  expect(reconciler.full(PLAN).found).toEqual([]);
});
