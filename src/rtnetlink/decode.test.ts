import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { DecodeError } from '#base/errors.ts';
import type { NetlinkMessage } from '#netlink/message.ts';
import { readAddress } from './address.ts';
import { IFA_F, NTF, NUD, RT_SCOPE, RT_TABLE, RTM, RTN, RTPROT } from './constants.ts';
import { readFdbEntry } from './fdb.ts';
import { readLink } from './link.ts';
import { readPortVlans } from './link/bridge-vlan.ts';
import { readNeighbour } from './neighbour.ts';
import { decodeNotification } from './notification.ts';
import { readRoute } from './route.ts';
import { ADDRESSES, FDB, LINKS, NEIGHBOURS, PORT_VLANS, ROUTES } from './testdata/captured.ts';

function message(type: number, hex: string): NetlinkMessage {
  return { type, flags: 0, sequence: 0, payload: Uint8Array.fromHex(hex) };
}

/** As JSON has it: addresses as text, nothing undefined. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, each) => (typeof each === 'bigint' ? Number(each) : each)));
}

describe('links', () => {
  const link = (name: keyof typeof LINKS) => plain(readLink(message(RTM.NEWLINK, LINKS[name])));

  test('lo of a fresh namespace', () => {
    expect(link('lo')).toEqual({
      index: 1,
      name: 'lo',
      mtu: 65536,
      flags: 8,
      up: false,
      running: false,
      operState: 2,
      hardwareType: 772,
      mac: '00:00:00:00:00:00',
      txQueueLength: 1000,
      addrGenMode: 'eui64',
      promiscuity: 0,
      stats: { rxPackets: 0, txPackets: 0, rxBytes: 0, txBytes: 0 },
    });
  });

  test('veth, up, with its peer and its counters', () => {
    expect(link('veth')).toMatchObject({
      index: 10,
      name: 'e0',
      up: true,
      running: true,
      operState: 6,
      mac: '02:00:00:00:00:0a',
      parent: 11,
      kind: { type: 'veth' },
    });
    expect(link('veth')).toHaveProperty('stats.txPackets', 1);
  });

  test('counters, those of what was dropped among them', () => {
    const stats = { rxPackets: 0, txPackets: 0, rxBytes: 0, txBytes: 0, dropped: 9 };
    expect(link('counted')).toMatchObject({ name: 'flannel.1', stats });
  });

  test('a port of a bridge', () => {
    expect(link('port')).toMatchObject({
      name: 'e1',
      master: 13,
      promiscuity: 1,
      kind: { type: 'veth' },
      port: { hairpin: true, isolated: false, learning: true, flood: true, state: 0, priority: 32, cost: 2 },
    });
  });

  test('vxlan, address generation off', () => {
    expect(link('vxlan')).toMatchObject({
      name: 'flannel.1',
      mtu: 1450,
      addrGenMode: 'none',
      kind: {
        type: 'vxlan',
        vni: 1,
        port: 8472,
        parent: 10,
        local: '192.0.2.1',
        learning: false,
        gbp: false,
        ageing: 300,
        udpCsum: true,
      },
    });
    // What this project has no name for is kept: IFLA_VXLAN_REMCSUM_TX and so on.
    const { kind } = readLink(message(RTM.NEWLINK, LINKS.vxlan));
    expect(kind?.type === 'vxlan' && kind.unknown?.map(({ type }) => type)).toContain(21);
  });

  test('bridge and macvlan', () => {
    expect(link('bridge')).toMatchObject({
      name: 'cni0',
      kind: { type: 'bridge', ageingTime: 30000, forwardDelay: 1500, stpState: 0, multicastSnooping: true },
    });
    expect(link('bridge')).not.toHaveProperty('kind.unknown');
    expect(link('macvlan')).toMatchObject({ parent: 10, kind: { type: 'macvlan', mode: 'bridge' } });
  });
});

describe('addresses', () => {
  const address = (name: keyof typeof ADDRESSES) => plain(readAddress(message(RTM.NEWADDR, ADDRESSES[name])));

  test('IPv4 with broadcast and label', () => {
    expect(address('ipv4')).toEqual({
      link: 10,
      cidr: '192.0.2.1/24',
      scope: RT_SCOPE.UNIVERSE,
      flags: IFA_F.PERMANENT,
      label: 'e0',
      broadcast: '192.0.2.255',
    });
  });

  test('IPv6, which has no IFA_LOCAL', () => {
    expect(address('ipv6')).toMatchObject({ cidr: '2001:db8::1/64', flags: IFA_F.PERMANENT | IFA_F.NODAD });
    expect(address('linkLocal')).toMatchObject({
      cidr: 'fe80::ff:fe00:a/64',
      scope: RT_SCOPE.LINK,
      protocol: 3,
      flags: IFA_F.PERMANENT | IFA_F.TENTATIVE,
    });
  });
});

describe('routes', () => {
  const route = (name: keyof typeof ROUTES) => plain(readRoute(message(RTM.NEWROUTE, ROUTES[name])));
  const base = { table: RT_TABLE.MAIN, protocol: RTPROT.BOOT, type: RTN.UNICAST, cloned: false };

  test('onlink', () => {
    expect(route('onlink')).toEqual({
      ...base,
      family: 'ipv4',
      dst: '10.244.2.0/24',
      gateway: '10.244.2.0',
      link: 12,
      scope: RT_SCOPE.UNIVERSE,
      onlink: true,
      flags: 4,
    });
  });

  test('blackhole, metrics with a large table, IPv6', () => {
    expect(route('blackhole')).toMatchObject({ dst: '10.245.0.0/16', type: RTN.BLACKHOLE, priority: 7 });
    expect(route('metrics')).toMatchObject({ table: 1000, scope: RT_SCOPE.LINK, metrics: { mtu: 1400 } });
    expect(route('ipv6')).toMatchObject({ ...base, gateway: '2001:db8::2', priority: 1024, onlink: false });
  });

  test('several next hops, and a gateway of the other family', () => {
    expect(route('multipath')).toMatchObject({
      multipath: [
        { link: 10, gateway: '192.0.2.2', weight: 1, onlink: false },
        { link: 10, gateway: '192.0.2.3', weight: 2, onlink: false },
      ],
    });
    expect(route('via')).toMatchObject({
      family: 'ipv4',
      dst: '10.248.0.0/16',
      gateway: '2001:db8::2',
      link: 10,
    });
  });

  test('the default route has no destination', () => {
    expect(readRoute(message(RTM.NEWROUTE, '020000000000000000000000'))?.dst).toBeUndefined();
  });
});

describe('neighbours and FDB', () => {
  test('neighbours of both families', () => {
    expect(plain(readNeighbour(message(RTM.NEWNEIGH, NEIGHBOURS.ipv4)))).toEqual({
      link: 12,
      ip: '10.244.2.0',
      mac: '02:00:00:00:00:02',
      state: NUD.PERMANENT,
      flags: 0,
    });
    expect(plain(readNeighbour(message(RTM.NEWNEIGH, NEIGHBOURS.ipv6)))).toMatchObject({
      ip: '2001:db8::2',
      mac: '02:00:00:00:00:03',
    });
    expect(readFdbEntry(message(RTM.NEWNEIGH, NEIGHBOURS.ipv4))).toBeUndefined();
  });

  test('FDB entries of a VXLAN link and of a bridge', () => {
    expect(plain(readFdbEntry(message(RTM.NEWNEIGH, FDB.self)))).toEqual({
      link: 12,
      mac: '02:00:00:00:00:02',
      dst: '192.0.2.2',
      state: NUD.PERMANENT | NUD.NOARP,
      flags: NTF.SELF,
    });
    expect(plain(readFdbEntry(message(RTM.NEWNEIGH, FDB.bridge)))).toMatchObject({
      link: 11,
      master: 13,
      flags: 0,
    });
    expect(readNeighbour(message(RTM.NEWNEIGH, FDB.self))).toBeUndefined();
  });
});

describe('notifications', () => {
  test.each([
    [RTM.NEWLINK, LINKS.vxlan, 'link', 'new'],
    [RTM.DELLINK, LINKS.vxlan, 'link', 'delete'],
    [RTM.NEWADDR, ADDRESSES.ipv4, 'address', 'new'],
    [RTM.DELADDR, ADDRESSES.ipv6, 'address', 'delete'],
    [RTM.NEWROUTE, ROUTES.onlink, 'route', 'new'],
    [RTM.DELROUTE, ROUTES.ipv6, 'route', 'delete'],
    [RTM.NEWNEIGH, NEIGHBOURS.ipv4, 'neighbour', 'new'],
    [RTM.DELNEIGH, FDB.self, 'fdb', 'delete'],
  ])('type %d', (type, hex, expected, action) => {
    expect(decodeNotification(message(type, hex))).toMatchObject({ type: expected, action });
  });

  test('what is about something else is undefined', () => {
    expect(decodeNotification(message(RTM.DELLINK, `07${LINKS.port.slice(2)}`))).toBeUndefined();
    expect(decodeNotification(message(999, ''))).toBeUndefined();
    // A multicast route (family 128).
    expect(decodeNotification(message(RTM.NEWROUTE, `80${ROUTES.onlink.slice(2)}`))).toBeUndefined();
  });
});

describe('VLANs of bridge ports', () => {
  test('of the bridge itself and of a port', () => {
    expect(readPortVlans(message(RTM.NEWLINK, PORT_VLANS.bridge))).toEqual({
      link: 13,
      vlans: [{ first: 1, last: 1, pvid: true, untagged: true }],
    });
    expect(readPortVlans(message(RTM.NEWLINK, PORT_VLANS.port))).toEqual({
      link: 11,
      vlans: [
        { first: 100, last: 100, pvid: true, untagged: true },
        { first: 200, last: 210 },
        { first: 300, last: 300 },
      ],
    });
  });

  test('what answers of another family say is not taken; cut anywhere is an error or VLANs, never a wild read', () => {
    expect(readPortVlans(message(RTM.NEWLINK, LINKS.port))).toBeUndefined();
    const payload = Uint8Array.fromHex(PORT_VLANS.port);
    for (let end = 0; end < payload.length; end += 1) {
      try {
        readPortVlans({ type: RTM.NEWLINK, flags: 0, sequence: 0, payload: payload.subarray(0, end) });
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    }
  });
});

describe('hostile input', () => {
  const all: (readonly [number, string])[] = [
    ...Object.values(LINKS).map((hex) => [RTM.NEWLINK, hex] as const),
    ...Object.values(ADDRESSES).map((hex) => [RTM.NEWADDR, hex] as const),
    ...Object.values(ROUTES).map((hex) => [RTM.NEWROUTE, hex] as const),
    ...[...Object.values(NEIGHBOURS), ...Object.values(FDB)].map((hex) => [RTM.NEWNEIGH, hex] as const),
  ];

  /** True when it was refused; anything but a DecodeError fails the test. */
  function refused(type: number, payload: Uint8Array): boolean {
    try {
      decodeNotification({ type, flags: 0, sequence: 0, payload });
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      return true;
    }
  }

  test('every message cut at every byte', () => {
    let refusals = 0;
    for (const [type, hex] of all) {
      const payload = Uint8Array.fromHex(hex);
      for (let end = 0; end < payload.length; end += 1) {
        if (refused(type, payload.subarray(0, end))) refusals += 1;
      }
    }
    expect(refusals).toBeGreaterThan(1000);
  });

  test('captured messages with bytes replaced', () => {
    const spoiled = fc.record({
      which: fc.nat({ max: all.length - 1 }),
      changes: fc.array(fc.tuple(fc.nat({ max: 1200 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 6,
      }),
    });
    fc.assert(
      fc.property(spoiled, ({ which, changes }) => {
        const [type, hex] = all[which] ?? [0, ''];
        const payload = Uint8Array.fromHex(hex);
        for (const [at, value] of changes) payload[at % payload.length] = value;
        refused(type, payload);
      }),
      { numRuns: 3000 },
    );
  });

  test('random bytes', () => {
    const types = [RTM.NEWLINK, RTM.NEWADDR, RTM.NEWROUTE, RTM.NEWNEIGH];
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 96 });
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.constantFrom(2, 7, 10), bytes, (type, family, payload) => {
        if (payload.length > 0) payload[0] = family;
        refused(type, payload);
      }),
      { numRuns: 3000 },
    );
  });
});
