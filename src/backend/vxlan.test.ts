import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import type { FamilyLease, Lease } from '#subnet/lease.ts';
import { checkBackend, createBackend } from './create.ts';
import { config, context, lease, LOCAL, MAC, planned, side, SIDE6 } from './fixtures.ts';

function plan(families: Lease['families'], from = context()): { entries: string[]; rejected: string[] } {
  const { entries, rejected } = planned(createBackend(from), lease(families));
  return { entries, rejected };
}

test('backend-data byte for byte, one device per family', () => {
  const backend = createBackend(context({}, { families: ['ipv4', 'ipv6'] }));
  const data = `{"VNI":1,"VtepMAC":"${MAC}"}`;
  expect(backend.backendData).toEqual({ ipv4: data, ipv6: data });
  expect(backend.links.map(({ name, mtu, port, vni }) => ({ name, mtu, port, vni }))).toEqual([
    { name: 'flannel.1', mtu: 1450, port: 8472, vni: 1 },
    { name: 'flannel-v6.1', mtu: 1430, port: 8472, vni: 1 },
  ]);
  expect(backend.links.map(({ addresses }) => addresses.join())).toEqual([
    '10.244.1.0/32',
    '2001:cafe:42:1::/128',
  ]);
  expect(backend.links.map(({ local, parent }) => `${local} ${parent}`)).toEqual([
    '192.168.50.11 eth0',
    'fd50::11 eth0',
  ]);
});

test('options, spelled as people do; an unknown one is a warning', () => {
  const from = context({
    vni: 7,
    PORT: 4789,
    Learning: true,
    gbp: true,
    MTU: 9000,
    Directrouting: false,
    VNII: 1,
  });
  const { links, mtu, backendData } = createBackend(from);
  const warnings = checkBackend(from.config);
  expect(links[0]).toMatchObject({
    name: 'flannel.7',
    vni: 7,
    port: 4789,
    learning: true,
    gbp: true,
    mtu: 8950,
  });
  expect(mtu).toBe(8950);
  expect(backendData.ipv4).toStartWith('{"VNI":7,');
  expect(warnings.join()).toContain('VNII');
});

test('the MTU of pods: that of IPv4 where there is IPv4', () => {
  expect(createBackend(context()).mtu).toBe(1450);
  expect(createBackend(context({}, { families: ['ipv4', 'ipv6'] })).mtu).toBe(1450);
  expect(createBackend(context({}, { families: ['ipv6'] })).mtu).toBe(1430);
});

test('an MTU that leaves too little is refused with the least that works', () => {
  expect(() => createBackend(context({ MTU: 117 }))).toThrow('Backend.MTU: 117 leaves 67 bytes for ipv4');
  expect(createBackend(context({ MTU: 118 })).mtu).toBe(68);
  const dual = (MTU: number) => createBackend(context({ MTU }, { families: ['ipv4', 'ipv6'] }));
  expect(() => dual(1349)).toThrow('leaves 1279 bytes for ipv6');
  expect(dual(1350).links[1]?.mtu).toBe(1280);
  const external = { ...context().external, mtu: 100 };
  expect(() => createBackend(context({}, { external }))).toThrow('100 (of the external interface)');
});

test('the MAC: of the annotation, else of the device, else a new one', () => {
  const own = {
    ...context().own,
    backendType: 'vxlan',
    backendData: { ipv4: `{"VtepMAC":"02:00:00:00:00:07"}` },
  };
  const mac = (change: Parameters<typeof context>[1]) =>
    String(createBackend(context({}, change)).links[0]?.mac);
  expect(mac({ own })).toBe('02:00:00:00:00:07');
  expect(mac({ own: { ...own, backendType: 'wireguard' } })).toBe(MAC);
  for (const bad of ['', 'null', '{}', '{"VtepMAC":"ff:ff:ff:ff:ff:ff"}', '{"VtepMAC":7}']) {
    expect(mac({ own: { ...own, backendData: { ipv4: bad } } })).toBe(MAC);
  }
  for (const live of [undefined, '00:00:00:00:00:00', '01:00:5e:00:00:01']) {
    const liveMac = () => (live === undefined ? undefined : Mac.parse(live));
    // Of the random bytes the two bits that make it local and unicast are set.
    expect(mac({ liveMac })).toBe('fe:01:02:03:04:05');
  }
});

test('a peer is a neighbour, an FDB entry and a route, in each family', () => {
  const dual = context({}, { families: ['ipv4', 'ipv6'] });
  expect(plan({ ipv4: side(), ipv6: SIDE6 }, dual)).toEqual({
    entries: [
      'neighbour 10.244.2.0 lladdr ba:35:f7:c1:34:9a dev flannel.1',
      'fdb ba:35:f7:c1:34:9a dst 192.168.50.12 dev flannel.1',
      'route 10.244.2.0/24 via 10.244.2.0 dev flannel.1',
      'neighbour 2001:cafe:42:2:: lladdr 96:1a:97:82:a2:9e dev flannel-v6.1',
      'fdb 96:1a:97:82:a2:9e dst fd50::12 dev flannel-v6.1',
      'route 2001:cafe:42:2::/64 via 2001:cafe:42:2:: dev flannel-v6.1',
    ],
    rejected: [],
  });
});

test('a family that the peer or this node does not have is left out in silence', () => {
  const dual = context({}, { families: ['ipv4', 'ipv6'] });
  expect(plan({ ipv6: SIDE6 }, dual).entries).toHaveLength(3);
  expect(plan({ ipv4: side(), ipv6: SIDE6 })).toMatchObject({ rejected: [] });
  expect(plan({ ipv4: side(), ipv6: SIDE6 }).entries).toHaveLength(3);
});

test('what is wrong in one family does not cost the other', () => {
  const dual = context({}, { families: ['ipv4', 'ipv6'] });
  const { entries, rejected } = plan({ ipv4: side({ backendData: 'null' }), ipv6: SIDE6 }, dual);
  expect(entries).toHaveLength(3);
  expect(rejected).toEqual(['ipv4: backend-data has no VtepMAC']);
});

test('direct routing: a plain route where no gateway is in between, else the tunnel', () => {
  const direct = context({ DirectRouting: true });
  expect(plan({ ipv4: side() }, direct).entries).toEqual(['route 10.244.2.0/24 via 192.168.50.12 dev eth0']);
  expect(plan({ ipv4: side({ backendData: 'null' }) }, direct).rejected).toEqual([]);
  expect(plan({ ipv4: side({ publicIp: Ip.parse('192.0.2.1') }) }, direct).entries).toHaveLength(3);
});

const HOSTILE: readonly (readonly [string, Partial<FamilyLease>])[] = [
  ['backend-data is not JSON', { backendData: '{"VtepMAC":' }],
  ['backend-data is not JSON', { backendData: '' }],
  ['backend-data has no VtepMAC', { backendData: '[]' }],
  ['backend-data has no VtepMAC', { backendData: '"x"' }],
  ['backend-data has no VtepMAC', { backendData: '{"vtepmac":"02:00:00:00:00:01"}' }],
  ['VtepMAC is not a MAC address', { backendData: '{"VtepMAC":null}' }],
  ['VtepMAC is not a MAC address', { backendData: '{"VtepMAC":"02:00:00:00:00"}' }],
  ['VtepMAC is not a MAC address', { backendData: '{"VtepMAC":["02:00:00:00:00:01"]}' }],
  ['VtepMAC 00:00:00:00:00:00 is not a unicast address', { backendData: '{"VtepMAC":"00:00:00:00:00:00"}' }],
  ['VtepMAC 33:33:00:00:00:01 is not a unicast address', { backendData: '{"VtepMAC":"33:33:00:00:00:01"}' }],
  [`it publishes this node's own VtepMAC ${MAC}`, { backendData: `{"VtepMAC":"${MAC.toUpperCase()}"}` }],
  ["its subnet 10.244.1.0/24 overlaps this node's 10.244.1.0/24", { subnet: Cidr.parse('10.244.1.0/24') }],
  ["its subnet 10.244.0.0/16 overlaps this node's 10.244.1.0/24", { subnet: Cidr.parse('10.244.0.0/16') }],
  [
    "its subnet 10.244.1.128/25 overlaps this node's 10.244.1.0/24",
    { subnet: Cidr.parse('10.244.1.128/25') },
  ],
  ["it publishes this node's own address 192.168.50.11", { publicIp: LOCAL.ipv4 }],
  [
    'its public address 10.244.2.9 lies inside its own pod subnet 10.244.2.0/24',
    { publicIp: Ip.parse('10.244.2.9') },
  ],
  ['its public address fd50::12 is of the other family', { publicIp: Ip.parse('fd50::12') }],
  ["its public address 127.0.0.1 is not a peer's", { publicIp: Ip.parse('127.0.0.1') }],
  ["its public address 0.0.0.0 is not a peer's", { publicIp: Ip.parse('0.0.0.0') }],
  ["its public address 239.1.1.1 is not a peer's", { publicIp: Ip.parse('239.1.1.1') }],
  [
    "its subnet 192.168.50.0/28 has this node's own address 192.168.50.11 in it",
    { subnet: Cidr.parse('192.168.50.0/28') },
  ],
  ['its public address is the broadcast address', { publicIp: Ip.parse('255.255.255.255') }],
];

for (const [reason, change] of HOSTILE) {
  test(`left out: ${reason}`, () => {
    expect(plan({ ipv4: side(change) })).toEqual({ entries: [], rejected: [`ipv4: ${reason}`] });
  });
}

test('why a peer is left out is also a value', () => {
  const kind = (change: Partial<FamilyLease>) =>
    createBackend(context())
      .peer(lease({ ipv4: side(change) }))
      .rejected.map((rejection) => rejection.kind);
  expect(kind({ backendData: 'null' })).toEqual(['unreadable']);
  expect(kind({ backendData: `{"VtepMAC":"${MAC}"}` })).toEqual(['own_mac']);
  expect(kind({ subnet: Cidr.parse('10.244.1.0/24') })).toEqual(['own_subnet']);
  expect(kind({ publicIp: LOCAL.ipv4 })).toEqual(['address']);
  expect(kind({ publicIp: Ip.parse('127.0.0.1') })).toEqual(['address']);
});

test('the published address of this node counts as its own, too', () => {
  const nat = Ip.parse('203.0.113.7');
  const from = context({}, { external: { ...context().external, publicIps: { ipv4: nat } } });
  expect(plan({ ipv4: side({ publicIp: nat }) }, from).entries).toEqual([]);
});

test('backends and options are checked before anything is waited for', () => {
  checkBackend(config({}));
  for (const bad of [{ VNI: 16_777_216 }, { VNI: '1' }, { Port: -1 }, { DirectRouting: 'yes' }]) {
    expect(() => checkBackend(config(bad))).toThrow(ConfigError);
  }
});

test('the checksum offload is planned only when it is asked for', () => {
  for (const txChecksum of [true, false])
    expect(createBackend(context({}, { txChecksum })).links.map((link) => link.txChecksum)).toEqual([
      txChecksum,
    ]);
  expect(createBackend(context()).links[0]).not.toHaveProperty('txChecksum');
});
