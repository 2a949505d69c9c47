import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { NetlinkError } from '#netlink/message.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { IFA_F, RT_SCOPE, RT_TABLE, RTN, RTPROT } from '#rtnetlink/constants.ts';
import type { RouteSpec } from '#rtnetlink/route.ts';
import { describeInNetns, json, must } from '../support/netns.ts';

/** A veth pair, both ends up; returns the index of `name`. */
function upPair(client: Rtnetlink, name: string): number {
  client.createLink({ name, up: true, kind: { type: 'veth', peer: { name: `${name}-peer`, up: true } } });
  return client.link(name)?.index ?? 0;
}

function ipRoutes(family: Family, ...args: string[]): Record<string, unknown>[] {
  return json(['ip', family === 'ipv4' ? '-4' : '-6', '-j', '-d', '-N', 'route', 'show', ...args]);
}

function thrown(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describeInNetns(import.meta.path, 'addresses', () => {
  test('IPv4: broadcast, label and flags as ip has them', () => {
    using client = Rtnetlink.open();
    const link = upPair(client, 'a4');
    const cidr = Cidr.parse('10.1.2.3/24');
    client.addAddress({ link, cidr, broadcast: 'auto', label: 'a4:0', flags: IFA_F.NOPREFIXROUTE });
    const [shown] = json(['ip', '-j', '-4', 'addr', 'show', 'dev', 'a4']);
    expect(shown?.['addr_info']).toMatchObject([
      { local: '10.1.2.3', prefixlen: 24, broadcast: '10.1.2.255', label: 'a4:0', noprefixroute: true },
    ]);
    const [address, ...others] = client.addresses({ link, family: 'ipv4' });
    expect(others).toEqual([]);
    expect(address).toMatchObject({
      link,
      scope: 0,
      label: 'a4:0',
      peer: undefined,
      validSeconds: undefined,
    });
    expect(address?.cidr.toString()).toBe('10.1.2.3/24');
    expect(address?.broadcast?.toString()).toBe('10.1.2.255');
    expect(address?.flags).toBe(IFA_F.PERMANENT | IFA_F.NOPREFIXROUTE);
  });

  // The kernel fills in a broadcast address only when asked.
  test.each([
    ['192.0.2.1/30', '192.0.2.3'],
    ['192.0.2.1/31', undefined],
    ['192.0.2.1/32', undefined],
  ])('auto broadcast of %s, as ip addr add ... brd +', (text, expected) => {
    using client = Rtnetlink.open();
    const link = upPair(client, 'brd');
    client.addAddress({ link, cidr: Cidr.parse(text), broadcast: 'auto' });
    const ours = client.addresses({ link, family: 'ipv4' })[0]?.broadcast?.toString();
    must(['ip', 'addr', 'flush', 'dev', 'brd', 'scope', 'global']);
    must(['ip', 'addr', 'add', text, 'brd', '+', 'dev', 'brd']);
    const theirs = client.addresses({ link, family: 'ipv4' })[0]?.broadcast?.toString();
    expect(ours).toBe(expected);
    expect(theirs).toBe(expected);
    client.deleteLink('brd');
  });

  test('scope of loopback addresses, point to point, lifetimes', () => {
    using client = Rtnetlink.open();
    const link = upPair(client, 'ptp');
    client.addAddress({ link: 1, cidr: Cidr.parse('127.0.0.9/8') });
    expect(client.addresses({ link: 1, family: 'ipv4' })[0]?.scope).toBe(RT_SCOPE.HOST);
    const cidr = Cidr.parse('10.9.0.1/32');
    client.addAddress({ link, cidr, peer: Ip.parse('10.9.0.2'), preferredSeconds: 50, validSeconds: 100 });
    const [address] = client.addresses({ link, family: 'ipv4' });
    expect(address?.cidr.toString()).toBe('10.9.0.1/32');
    expect(address?.peer?.toString()).toBe('10.9.0.2');
    expect(address?.validSeconds).toBeWithin(60, 101);
    expect(address?.preferredSeconds).toBeWithin(10, 51);
    const [shown] = json(['ip', '-j', '-4', 'addr', 'show', 'dev', 'ptp']);
    expect(shown?.['addr_info']).toMatchObject([{ local: '10.9.0.1', address: '10.9.0.2', prefixlen: 32 }]);
    client.deleteAddress({ link, cidr, peer: Ip.parse('10.9.0.2') });
    expect(client.addresses({ link, family: 'ipv4' })).toEqual([]);
  });

  test('IPv6: no duplicate detection on request, replaced, deleted', () => {
    using client = Rtnetlink.open();
    const link = upPair(client, 'a6');
    const cidr = Cidr.parse('2001:db8::1/64');
    client.addAddress({ link, cidr, flags: IFA_F.NODAD });
    const find = () => client.addresses({ link, family: 'ipv6' }).find((each) => each.cidr.equals(cidr));
    expect(find()).toMatchObject({ scope: 0, flags: IFA_F.PERMANENT | IFA_F.NODAD, broadcast: undefined });
    expect(thrown(() => client.addAddress({ link, cidr }))).toMatchObject({
      code: 'EEXIST',
      call: `add address 2001:db8::1/64 on link ${link}`,
    });
    client.replaceAddress({ link, cidr, flags: IFA_F.NODAD | IFA_F.NOPREFIXROUTE });
    expect((find()?.flags ?? 0) & IFA_F.NOPREFIXROUTE).not.toBe(0);
    client.deleteAddress({ link, cidr });
    expect(find()).toBeUndefined();
    expect(thrown(() => client.deleteAddress({ link, cidr }))).toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  test('filters: link and family, neither, and a link that is not there', () => {
    using client = Rtnetlink.open();
    const link = upPair(client, 'flt');
    client.addAddress({ link, cidr: Cidr.parse('10.3.0.1/24') });
    const all = client.addresses();
    expect(new Set(all.map((each) => each.cidr.family))).toEqual(new Set<Family>(['ipv4', 'ipv6']));
    expect(all.length).toBeGreaterThan(client.addresses({ link }).length);
    expect(client.addresses({ link }).every((each) => each.link === link)).toBe(true);
    expect(client.addresses({ family: 'ipv6' }).every((each) => each.cidr.family === 'ipv6')).toBe(true);
    expect(thrown(() => client.addresses({ link: 4242, family: 'ipv4' }))).toMatchObject({ code: 'ENODEV' });
  });
});

describeInNetns(import.meta.path, 'routes', () => {
  function prepared(): { client: Rtnetlink; link: number } {
    const client = Rtnetlink.open();
    client.setLink(1, { up: true });
    const link = client.link('r0')?.index ?? upPair(client, 'r0');
    client.replaceAddress({ link, cidr: Cidr.parse('10.0.0.1/24') });
    client.replaceAddress({ link, cidr: Cidr.parse('2001:db8::1/64'), flags: IFA_F.NODAD });
    return { client, link };
  }

  test('onlink through a gateway that no other route reaches', () => {
    const { client, link } = prepared();
    using _client = client;
    const dst = Cidr.parse('10.244.2.0/24');
    const gateway = Ip.parse('10.244.2.0');
    const error = thrown(() => client.addRoute({ dst, gateway, link }));
    expect(error).toBeInstanceOf(NetlinkError);
    expect(error).toMatchObject({ code: 'ENETUNREACH', extack: 'Nexthop has invalid gateway' });
    client.addRoute({ dst, gateway, link, onlink: true, source: Ip.parse('10.0.0.1') });
    expect(ipRoutes('ipv4', '10.244.2.0/24')).toMatchObject([
      {
        dst: '10.244.2.0/24',
        gateway: '10.244.2.0',
        dev: 'r0',
        flags: ['onlink'],
        prefsrc: '10.0.0.1',
        protocol: '3',
      },
    ]);
    const route = client.routes({ family: 'ipv4', link }).find((each) => each.dst?.equals(dst) === true);
    expect(String(route?.gateway)).toBe('10.244.2.0');
    expect(route).toMatchObject({ link, onlink: true, table: RT_TABLE.MAIN, protocol: RTPROT.BOOT });
    expect(route).toMatchObject({
      scope: RT_SCOPE.UNIVERSE,
      type: RTN.UNICAST,
      cloned: false,
      priority: undefined,
    });
    expect(route?.source?.toString()).toBe('10.0.0.1');
    expect(thrown(() => client.addRoute({ dst, gateway, link, onlink: true }))).toMatchObject({
      code: 'EEXIST',
      call: `add route 10.244.2.0/24 via 10.244.2.0 dev ${link} onlink`,
    });
    client.deleteRoute({ dst, gateway, link });
    expect(ipRoutes('ipv4', '10.244.2.0/24')).toEqual([]);
    expect(thrown(() => client.deleteRoute({ dst, gateway, link }))).toMatchObject({ code: 'ESRCH' });
  });

  // Each pair must make the same route, down to the last default.
  test.each([
    ['10.7.0.0/16 dev r0', { dst: Cidr.parse('10.7.0.0/16') }],
    ['10.8.0.0/16 via 10.0.0.2', { dst: Cidr.parse('10.8.0.0/16'), gateway: Ip.parse('10.0.0.2') }],
    [
      'default via 10.0.0.2 metric 50',
      { dst: { default: 'ipv4' }, gateway: Ip.parse('10.0.0.2'), priority: 50 },
    ],
    ['blackhole 10.9.0.0/16', { dst: Cidr.parse('10.9.0.0/16'), type: RTN.BLACKHOLE }],
    [
      'unreachable 10.10.0.0/16 metric 9',
      { dst: Cidr.parse('10.10.0.0/16'), type: RTN.UNREACHABLE, priority: 9 },
    ],
    ['local 10.11.0.1/32 dev r0', { dst: Cidr.parse('10.11.0.1/32'), type: RTN.LOCAL }],
    [
      '10.12.0.0/16 dev r0 mtu 1400 advmss 1300 table 1000 proto static',
      {
        dst: Cidr.parse('10.12.0.0/16'),
        metrics: { mtu: 1400, advmss: 1300 },
        table: 1000,
        protocol: RTPROT.STATIC,
      },
    ],
    [
      '10.13.0.0/16 via inet6 2001:db8::9 dev r0',
      { dst: Cidr.parse('10.13.0.0/16'), gateway: Ip.parse('2001:db8::9') },
    ],
    ['2001:db8:7::/64 dev r0', { dst: Cidr.parse('2001:db8:7::/64') }],
    [
      '2001:db8:8::/64 via 2001:db8::2',
      { dst: Cidr.parse('2001:db8:8::/64'), gateway: Ip.parse('2001:db8::2') },
    ],
    ['default via 2001:db8::2 dev r0', { dst: { default: 'ipv6' }, gateway: Ip.parse('2001:db8::2') }],
    ['blackhole 2001:db8:9::/64', { dst: Cidr.parse('2001:db8:9::/64'), type: RTN.BLACKHOLE }],
  ] as [string, RouteSpec][])('ip route add %s', (text, given) => {
    const { client, link } = prepared();
    using _client = client;
    const family = 'default' in given.dst ? given.dst.default : given.dst.family;
    const direct = given.type === undefined || given.type === RTN.LOCAL;
    const spec = direct ? { ...given, link } : given;
    const all = () => [...client.routes({ family }), ...ipRoutes(family, 'table', 'all')];
    const before = all();
    must(['ip', family === 'ipv4' ? '-4' : '-6', 'route', 'add', ...text.split(' ')]);
    const theirs = all();
    expect(theirs.length).toBe(before.length + 2);
    client.deleteRoute(spec);
    expect(all()).toEqual(before);
    client.addRoute(spec);
    expect(all()).toEqual(theirs);
    client.replaceRoute(spec);
    expect(all()).toEqual(theirs);
    client.deleteRoute(spec);
    expect(all()).toEqual(before);
  });

  test('several next hops in both families', () => {
    const { client, link } = prepared();
    using _client = client;
    const hops = (gateways: string[]) =>
      gateways.map((text, i) => ({
        link,
        gateway: Ip.parse(text),
        weight: i + 1,
        flags: 0,
        onlink: i === 1,
      }));
    const four = { dst: Cidr.parse('10.20.0.0/16'), multipath: hops(['10.0.0.7', '192.0.2.77']) };
    client.addRoute(four);
    const read = client.routes({ family: 'ipv4' }).find((each) => each.dst?.equals(four.dst) === true);
    expect(read).toMatchObject({ gateway: undefined, link: undefined });
    expect(read?.multipath?.map(({ gateway, weight, onlink }) => [String(gateway), weight, onlink])).toEqual([
      ['10.0.0.7', 1, false],
      ['192.0.2.77', 2, true],
    ]);
    expect(ipRoutes('ipv4', '10.20.0.0/16')[0]?.['nexthops']).toMatchObject([
      { gateway: '10.0.0.7', weight: 1 },
      { gateway: '192.0.2.77', weight: 2, flags: ['onlink'] },
    ]);
    must([
      'ip',
      '-6',
      'route',
      'add',
      '2001:db8:20::/64',
      'nexthop',
      'via',
      '2001:db8::7',
      'nexthop',
      'via',
      '2001:db8::8',
    ]);
    const six = client.routes({ family: 'ipv6' }).find((each) => String(each.dst) === '2001:db8:20::/64');
    expect(six?.multipath?.map(({ gateway }) => String(gateway)).toSorted()).toEqual([
      '2001:db8::7',
      '2001:db8::8',
    ]);
  });

  test('filters of the kernel: table, link, protocol', () => {
    const { client, link } = prepared();
    using _client = client;
    const dst = Cidr.parse('10.30.0.0/16');
    client.addRoute({ dst, link, table: 1234, protocol: 99 });
    expect(client.routes({ family: 'ipv4', table: 1234 }).map((each) => String(each.dst))).toEqual([
      '10.30.0.0/16',
    ]);
    expect(client.routes({ family: 'ipv4', protocol: 99 }).length).toBe(1);
    expect(client.routes({ family: 'ipv4', table: 4321 })).toEqual([]);
    expect(client.routes({ family: 'ipv6', table: 4321 })).toEqual([]);
    expect(client.routes({ family: 'ipv4', link: 1 }).every((each) => each.link === 1)).toBe(true);
    expect(client.routes({ family: 'ipv4', table: RT_TABLE.MAIN }).every((each) => each.table === 254)).toBe(
      true,
    );
    expect(thrown(() => client.routes({ family: 'ipv4', link: 4242 }))).toMatchObject({ code: 'ENODEV' });
  });

  test('the route that a packet takes', () => {
    const { client, link } = prepared();
    using _client = client;
    const route = client.routeTo(Ip.parse('10.0.0.77'));
    expect(route).toMatchObject({
      link,
      gateway: undefined,
      table: RT_TABLE.MAIN,
      type: RTN.UNICAST,
      cloned: true,
    });
    expect(String(route.source)).toBe('10.0.0.1');
    expect(client.routeTo(Ip.parse('10.0.0.1')).type).toBe(RTN.LOCAL);
    expect(client.routeTo(Ip.parse('2001:db8::77'), { link })).toMatchObject({ link });
    const [shown] = json(['ip', '-j', 'route', 'get', '10.0.0.77', 'from', '10.0.0.1']);
    expect(shown).toMatchObject({ dev: 'r0' });
    expect(client.routeTo(Ip.parse('10.0.0.77'), { from: Ip.parse('10.0.0.1'), link })).toMatchObject({
      link,
    });
    expect(thrown(() => client.routeTo(Ip.parse('203.0.113.1')))).toMatchObject({
      code: 'ENETUNREACH',
      call: 'look up the route to 203.0.113.1',
    });
  });
});
