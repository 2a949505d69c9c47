import { expect, test } from 'bun:test';
import { ConfigError, cureOf } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { createBackend } from './create.ts';
import { context, lease, planned, side, SIDE6 } from './fixtures.ts';

const HOST_GW = { Type: 'host-gw' };
const onLink = (ip: Ip) => ip.toString().startsWith('192.168.50.') || ip.toString().startsWith('fd50::');
const from = (change: Parameters<typeof context>[1] = {}) =>
  context(HOST_GW, { isOnLink: onLink, ...change });
const dual = from({ families: ['ipv4', 'ipv6'] });

test('no device, the whole MTU, null as backend-data of each family', () => {
  expect(createBackend(from())).toMatchObject({
    type: 'host-gw',
    mtu: 1500,
    links: [],
    backendData: { ipv4: 'null' },
  });
  expect(createBackend(dual).backendData).toEqual({ ipv4: 'null', ipv6: 'null' });
  expect(createBackend(from({ families: ['ipv6'] })).backendData).toEqual({ ipv6: 'null' });
});

test('a peer is a route by way of its node, in each family', () => {
  const peer = lease({ ipv4: side({ backendData: 'null' }), ipv6: SIDE6 }, 'host-gw');
  expect(planned(createBackend(dual), peer)).toEqual({
    entries: [
      'route 10.244.2.0/24 via 192.168.50.12 dev eth0',
      'route 2001:cafe:42:2::/64 via fd50::12 dev eth0',
    ],
    rejected: [],
    unreachable: [],
  });
  expect(planned(createBackend(from()), peer).entries).toHaveLength(1);
  expect(planned(createBackend(from({ families: ['ipv6'] })), peer).entries).toHaveLength(1);
  const [entry] = createBackend(from()).peer(peer).entries;
  expect(entry).toMatchObject({ type: 'route', onlink: false });
});

test('what is wrong in one family does not cost the other', () => {
  const away = side({ publicIp: Ip.parse('192.0.2.1') });
  const { entries, rejected } = planned(createBackend(dual), lease({ ipv4: away, ipv6: SIDE6 }, 'host-gw'));
  expect(entries).toEqual(['route 2001:cafe:42:2::/64 via fd50::12 dev eth0']);
  expect(rejected).toEqual([
    'ipv4: its address 192.0.2.1 is not on the link of eth0; host-gw needs all nodes on one link',
  ]);
});

test.each([
  ['another backend', lease({ ipv4: side() }, 'vxlan'), 'it uses backend "vxlan", this node host-gw'],
  [
    'own address',
    lease({ ipv4: side({ publicIp: Ip.parse('192.168.50.11') }) }, 'host-gw'),
    "it publishes this node's own address 192.168.50.11",
  ],
  [
    'own subnet',
    lease({ ipv4: side({ subnet: Cidr.parse('10.244.1.0/24') }) }, 'host-gw'),
    "its subnet 10.244.1.0/24 overlaps this node's 10.244.1.0/24",
  ],
  [
    'the underlay',
    lease({ ipv4: side({ subnet: Cidr.parse('192.168.50.0/28') }) }, 'host-gw'),
    "its subnet 192.168.50.0/28 has this node's own address 192.168.50.11 in it",
  ],
])('left out: %s', (_, peer, reason) => {
  expect(planned(createBackend(from()), peer)).toMatchObject({ entries: [], rejected: [`ipv4: ${reason}`] });
});

test('refused behind NAT, in either family', () => {
  const { external } = dual;
  for (const [family, ip, flag] of [
    ['ipv4', '203.0.113.7', '--public-ip'],
    ['ipv6', 'fd99::7', '--public-ipv6'],
  ] as const) {
    const publicIps = { ...external.publicIps, [family]: Ip.parse(ip) };
    let thrown: unknown;
    try {
      createBackend({ ...dual, external: { ...external, publicIps } });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    expect(String(thrown)).toContain(
      `this node is to publish ${ip}, but eth0 has ${external.addresses[family]}`,
    );
    expect(cureOf(thrown)).toContain(`Take away ${flag} and`);
  }
});
