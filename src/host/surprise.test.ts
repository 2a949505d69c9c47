import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { IFA_F, IFLA_EVENT, NTF, NUD, RT_TABLE, RTN, RTPROT } from '#rtnetlink/constants.ts';
import type { Address } from '#rtnetlink/address.ts';
import type { FdbEntry } from '#rtnetlink/fdb.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Neighbour } from '#rtnetlink/neighbour.ts';
import type { RtNotification } from '#rtnetlink/notification.ts';
import type { Route } from '#rtnetlink/route.ts';
import { testLink, testMac, testPeer, testPlan } from './fixtures.ts';
import { surprise } from './surprise.ts';

const NAMES = new Map([
  [2, 'eth0'],
  [7, 'flannel.1'],
  [9, 'cni0'],
]);
const PLAN = testPlan(testPeer(2));
const say = (notification: RtNotification) =>
  surprise(notification, { plan: PLAN, nameOf: (index) => NAMES.get(index) });

const VXLAN = {
  type: 'vxlan',
  vni: 1,
  port: 8472,
  local: testLink().local,
  parent: 2,
  learning: false,
} as const;

type Action = 'new' | 'delete';

function link(change: Partial<Link>, action: Action = 'new'): RtNotification {
  const base: Link = {
    index: 7,
    name: 'flannel.1',
    mtu: 1450,
    flags: 1,
    up: true,
    running: true,
    operState: 0,
    hardwareType: 1,
    mac: testLink().mac,
    parent: 2,
    parentNetnsid: undefined,
    master: undefined,
    txQueueLength: undefined,
    alias: undefined,
    addrGenMode: undefined,
    promiscuity: 0,
    kind: VXLAN,
    port: undefined,
  };
  return { type: 'link', action, link: { ...base, ...change } };
}

function address(cidr: string, change: Partial<Address> = {}, action: Action = 'new'): RtNotification {
  const base = { link: 7, cidr: Cidr.parse(cidr), scope: 0, flags: IFA_F.PERMANENT };
  return { type: 'address', action, address: { ...base, ...change } };
}

function route(change: Partial<Route>, action: Action = 'new'): RtNotification {
  const base: Route = {
    family: 'ipv4',
    dst: Cidr.parse('10.244.2.0/24'),
    gateway: Ip.parse('10.244.2.0'),
    link: 7,
    source: undefined,
    table: RT_TABLE.MAIN,
    protocol: RTPROT.BOOT,
    scope: 0,
    type: RTN.UNICAST,
    priority: undefined,
    onlink: true,
    flags: 0,
    cloned: false,
  };
  return { type: 'route', action, route: { ...base, ...change } };
}

function neighbour(change: Partial<Neighbour>, action: Action = 'new'): RtNotification {
  const base = { link: 7, ip: Ip.parse('10.244.2.0'), mac: testMac(2), state: NUD.PERMANENT, flags: 0 };
  return { type: 'neighbour', action, neighbour: { ...base, ...change } };
}

function fdb(change: Partial<FdbEntry>, action: Action = 'new'): RtNotification {
  const base: FdbEntry = {
    link: 7,
    mac: testMac(2),
    dst: Ip.parse('192.168.50.2'),
    state: NUD.PERMANENT,
    flags: NTF.SELF,
  };
  return { type: 'fdb', action, entry: { ...base, ...change } };
}

const OTHER = Mac.parse('02:00:00:00:00:99');

const SURPRISES: readonly (readonly [string, RtNotification])[] = [
  ['link flannel.1 removed', link({}, 'delete')],
  ['link flannel.1 is down', link({ up: false })],
  ['link flannel.1 has MTU 1400, not 1450', link({ mtu: 1400 })],
  [`link flannel.1 has MAC ${OTHER}, not ${testLink().mac}`, link({ mac: OTHER })],
  [`link flannel.1 has MAC none, not ${testLink().mac}`, link({ mac: undefined })],
  ['link flannel.1 has learning on', link({ kind: { ...VXLAN, learning: true } })],
  ['link flannel.1 has parent cni0', link({ kind: { ...VXLAN, parent: 9 } })],
  ['link flannel.1 has kind dummy, not vxlan', link({ kind: { type: 'dummy' } })],
  ['link flannel.1 is part of another device', link({ master: 9 })],
  ['link flannel.1 is now called foo', link({ name: 'foo' })],
  ['external interface eth0 changed', link({ index: 2, name: 'eth0' })],
  ['external interface eth0 removed', link({ index: 2, name: 'eth0' }, 'delete')],
  ['address 10.244.1.0/32 removed from flannel.1', address('10.244.1.0/32', {}, 'delete')],
  ['address 10.9.9.9/24 added to flannel.1', address('10.9.9.9/24')],
  ['an address of eth0 removed', address('192.168.50.11/24', { link: 2 }, 'delete')],
  ['r 10.244.2.0/24 removed', route({}, 'delete')],
  ['r 10.244.2.0/24 changed', route({ gateway: Ip.parse('192.168.50.1'), link: 2, onlink: false })],
  ['r 10.244.2.0/24 changed', route({ gateway: undefined })],
  ['r 10.244.2.0/24 changed', route({ gateway: undefined, link: undefined, type: RTN.BLACKHOLE })],
  ['r 10.244.2.0/24 changed', route({ gateway: undefined, link: undefined, multipath: [] })],
  ['r 10.99.0.0/24 added', route({ dst: Cidr.parse('10.99.0.0/24') })],
  ['n flannel.1 10.244.2.0 removed', neighbour({}, 'delete')],
  ['n flannel.1 10.244.2.0 changed', neighbour({ mac: OTHER })],
  ['n flannel.1 10.244.2.9 added', neighbour({ ip: Ip.parse('10.244.2.9') })],
  ['neighbour 10.244.2.0 on flannel.1 lost or no longer permanent', neighbour({ state: NUD.STALE })],
  ['neighbour 10.244.2.0 on flannel.1 lost or no longer permanent', neighbour({ mac: undefined }, 'delete')],
  [`f flannel.1 ${testMac(2)} removed`, fdb({}, 'delete')],
  [`f flannel.1 ${testMac(2)} changed`, fdb({ dst: Ip.parse('192.168.50.9') })],
  [`f flannel.1 ${OTHER} added`, fdb({ mac: OTHER })],
];

for (const [words, notification] of SURPRISES) {
  test(`${notification.action} ${notification.type}: ${words}`, () => expect(say(notification)).toBe(words));
}

const EXPECTED: readonly (readonly [string, RtNotification])[] = [
  ['our own device', link({})],
  ["somebody else's device", link({ index: 9, name: 'cni0', mtu: 9000, up: false })],
  ["somebody else's device, gone", link({ index: 9, name: 'cni0' }, 'delete')],
  ['our own address', address('10.244.1.0/32')],
  ['a link-local address of ours', address('fe80::1/64', { scope: 253 })],
  ['an address that is tried first', address('2001:db8::1/64', { flags: IFA_F.TENTATIVE })],
  ['an address that was foreign, gone', address('10.9.9.9/24', {}, 'delete')],
  ["somebody else's address", address('10.244.1.1/24', { link: 9 })],
  ['an IPv6 address of the external interface, gone', address('fd50::11/64', { link: 2 }, 'delete')],
  ['our own route', route({})],
  ['our own route in another table', route({ table: 100 }, 'delete')],
  ['a route of another priority', route({ priority: 50 }, 'delete')],
  ["the kernel's route for an address", route({ protocol: RTPROT.KERNEL, gateway: undefined })],
  ['a route that was not planned, gone', route({ dst: Cidr.parse('10.99.0.0/24') }, 'delete')],
  ["somebody else's route", route({ dst: Cidr.parse('10.77.0.0/16'), link: 2, onlink: false })],
  ["somebody else's route, gone", route({ dst: Cidr.parse('10.77.0.0/16'), link: 2 }, 'delete')],
  ['a default route', route({ dst: undefined, link: 2 })],
  ['a route out of an unknown device', route({ dst: Cidr.parse('10.77.0.0/16'), link: 44 })],
  ['our own neighbour', neighbour({})],
  ['a neighbour that resolves elsewhere', neighbour({ link: 9, state: NUD.REACHABLE })],
  [
    'a neighbour that fails on our device',
    neighbour({ ip: Ip.parse('10.244.2.9'), state: NUD.FAILED, mac: undefined }),
  ],
  ['our own FDB entry', fdb({})],
  ['a learned FDB entry', fdb({ mac: OTHER, state: NUD.REACHABLE })],
  ["a bridge's FDB entry", fdb({ mac: OTHER, flags: NTF.MASTER })],
  ['an FDB entry without a destination', fdb({ mac: OTHER, dst: undefined })],
];

for (const [what, notification] of EXPECTED) {
  test(`${what} is no surprise`, () => expect(say(notification)).toBeUndefined());
}

test('a change of features is one only where we care for them', () => {
  const changed = link({ event: IFLA_EVENT.FEATURES });
  const nameOf = (index: number) => NAMES.get(index);
  const plan = testPlan([], [testLink({ txChecksum: false })]);
  expect(surprise(changed, { plan, nameOf })).toBe('features of flannel.1 changed');
  expect(surprise(link({}), { plan, nameOf })).toBeUndefined();
  expect(say(changed)).toBeUndefined();
});
