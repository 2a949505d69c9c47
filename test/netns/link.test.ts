import { expect, test } from 'bun:test';
import { hasErrno } from '#base/errors.ts';
import { Netns } from '#ffi/netns.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { LinkSpec } from '#rtnetlink/link.ts';
import { describeInNetns, json, kernelLacks, must, NamedNetns } from '../support/netns.ts';

/** What `ip -j -d link show` prints about one link. */
interface IpLink {
  readonly ifindex: number;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly txqlen: number;
  readonly address?: string;
  readonly ifalias?: string;
  readonly inet6_addr_gen_mode?: string;
  readonly promiscuity: number;
  readonly linkinfo?: {
    readonly info_kind: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
    readonly info_slave_data?: Readonly<Record<string, unknown>>;
  };
}

function ipLink(name: string): IpLink {
  const [link] = json(['ip', '-j', '-d', 'link', 'show', 'dev', name]);
  return link as unknown as IpLink;
}

/** Both ways of reading must say the same about everything that every link has. */
function sameAsIp(client: Rtnetlink, name: string): void {
  const ours = client.link(name);
  const theirs = ipLink(name);
  expect(ours).toMatchObject({
    index: theirs.ifindex,
    name,
    mtu: theirs.mtu,
    up: theirs.flags.includes('UP'),
    running: theirs.flags.includes('LOWER_UP'),
    txQueueLength: theirs.txqlen,
    alias: theirs.ifalias,
    addrGenMode: theirs.inet6_addr_gen_mode,
    promiscuity: theirs.promiscuity,
  });
  expect(ours?.mac?.toString()).toBe(theirs.address);
  // Counters move between two reads.
  const dumped = client.links().find((link) => link.name === name);
  expect<unknown>({ ...dumped, stats: undefined }).toEqual({ ...ours, stats: undefined });
}

function pair(client: Rtnetlink, name: string): number {
  client.createLink({ name, kind: { type: 'veth', peer: { name: `${name}-peer` } } });
  return client.link(name)?.index ?? 0;
}

describeInNetns(import.meta.path, 'links', () => {
  test('lo: no kind, no carrier question, up on request', () => {
    using client = Rtnetlink.open();
    expect(client.links().map(({ name }) => name)).toEqual(['lo']);
    client.setLink(1, { up: true });
    sameAsIp(client, 'lo');
    expect(client.link(1)).toMatchObject({ kind: undefined, up: true, running: true, hardwareType: 772 });
  });

  test('veth: both ends with everything that can be given', () => {
    using client = Rtnetlink.open();
    client.createLink({
      name: 'v0',
      mtu: 1400,
      mac: Mac.parse('02:00:00:00:00:01'),
      up: true,
      txQueueLength: 77,
      alias: 'pod 1',
      addrGenMode: 'none',
      kind: { type: 'veth', peer: { name: 'v1', mtu: 1300, mac: Mac.parse('02:00:00:00:00:02'), up: true } },
    });
    sameAsIp(client, 'v0');
    sameAsIp(client, 'v1');
    const [v0, v1] = [client.link('v0'), client.link('v1')];
    expect(v0).toMatchObject({
      kind: { type: 'veth' },
      mtu: 1400,
      txQueueLength: 77,
      alias: 'pod 1',
      up: true,
    });
    expect(v0).toMatchObject({ addrGenMode: 'none', parent: v1?.index, running: true });
    expect(v1).toMatchObject({ mtu: 1300, up: true, parent: v0?.index });
    expect(v0?.mac?.toString()).toBe('02:00:00:00:00:01');
    // Address generation was off before the link went up: no link-local address.
    expect(client.addresses({ family: 'ipv6', link: v0?.index ?? 0 })).toEqual([]);
  });

  test('vxlan over IPv4', () => {
    using client = Rtnetlink.open();
    const parent = pair(client, 'under4');
    client.createLink({
      name: 'vx4',
      kind: {
        type: 'vxlan',
        vni: 42,
        port: 8472,
        parent,
        local: Ip.parse('192.0.2.1'),
        learning: false,
        gbp: true,
        ttl: 9,
        ageing: 120,
      },
    });
    sameAsIp(client, 'vx4');
    const link = client.link('vx4');
    expect(link?.kind).toMatchObject({
      type: 'vxlan',
      vni: 42,
      port: 8472,
      parent,
      learning: false,
      gbp: true,
      ttl: 9,
      ageing: 120,
    });
    if (link?.kind?.type === 'vxlan') expect(link.kind.local?.toString()).toBe('192.0.2.1');
    expect(ipLink('vx4').linkinfo).toMatchObject({
      info_kind: 'vxlan',
      info_data: {
        id: 42,
        port: 8472,
        link: 'under4',
        local: '192.0.2.1',
        learning: false,
        gbp: true,
        ttl: 9,
        ageing: 120,
      },
    });
    // Learning can be switched later; nothing else moves.
    client.setLink(link?.index ?? 0, { kind: { type: 'vxlan', vni: 42, learning: true } });
    expect(client.link('vx4')?.kind).toMatchObject({ learning: true, port: 8472, gbp: true });
  });

  test('vxlan over IPv6, made by ip', () => {
    using client = Rtnetlink.open();
    must([
      'ip',
      'link',
      'add',
      'vx6',
      'type',
      'vxlan',
      'id',
      '43',
      'dstport',
      '4789',
      'local',
      '2001:db8::1',
    ]);
    must(['ip', 'link', 'set', 'vx6', 'up']);
    sameAsIp(client, 'vx6');
    const kind = client.link('vx6')?.kind;
    expect(kind).toMatchObject({ type: 'vxlan', vni: 43, port: 4789, learning: true, gbp: false });
    if (kind?.type === 'vxlan') expect(kind.local?.toString()).toBe('2001:db8::1');
  });

  test('vxlan over IPv6, made here', () => {
    using client = Rtnetlink.open();
    const local = Ip.parse('2001:db8::2');
    client.createLink({
      name: 'vx6b',
      kind: { type: 'vxlan', vni: 44, port: 4789, local, udpZeroCsum6Tx: true, udpZeroCsum6Rx: true },
    });
    expect(ipLink('vx6b').linkinfo?.info_data).toMatchObject({
      local6: '2001:db8::2',
      udp_zero_csum6_tx: true,
      udp_zero_csum6_rx: true,
    });
    expect(client.link('vx6b')?.kind).toMatchObject({ local, udpZeroCsum6Tx: true, udpZeroCsum6Rx: true });
  });

  test('bridge with a port, and its options', () => {
    using client = Rtnetlink.open();
    client.createLink({
      name: 'br0',
      up: true,
      kind: { type: 'bridge', ageingTime: 10000, forwardDelay: 200 },
    });
    sameAsIp(client, 'br0');
    expect(ipLink('br0').linkinfo).toMatchObject({
      info_kind: 'bridge',
      info_data: { ageing_time: 10000, forward_delay: 200 },
    });
    const bridge = client.link('br0');
    const port = pair(client, 'port0');
    client.setLink(port, { master: bridge?.index ?? 0 });
    client.setBridgePort(port, { hairpin: true, isolated: true, learning: false });
    sameAsIp(client, 'port0');
    expect(client.link(port)).toMatchObject({
      master: bridge?.index,
      port: { hairpin: true, isolated: true, learning: false, flood: true },
    });
    expect(ipLink('port0').linkinfo?.info_slave_data).toMatchObject({
      hairpin: true,
      isolated: true,
      learning: false,
    });
    client.setLink(bridge?.index ?? 0, {
      promiscuous: true,
      kind: { type: 'bridge', multicastSnooping: false },
    });
    sameAsIp(client, 'br0');
    expect(client.link('br0')).toMatchObject({ promiscuity: 1, kind: { multicastSnooping: false } });
    expect(ipLink('br0').linkinfo?.info_data).toMatchObject({ mcast_snooping: 0 });
    client.setLink(port, { master: 0 });
    expect(client.link(port)).toMatchObject({ master: undefined, port: undefined });
  });

  test('macvlan, ifb, and a tap made by ip', () => {
    using client = Rtnetlink.open();
    const parent = pair(client, 'lower');
    client.createLink({ name: 'mv0', kind: { type: 'macvlan', parent, mode: 'bridge' } });
    client.createLink({ name: 'ifb0', kind: { type: 'ifb' } });
    must(['ip', 'tuntap', 'add', 'tap0', 'mode', 'tap', 'user', '12', 'group', '34']);
    must(['ip', 'tuntap', 'add', 'tun0', 'mode', 'tun']);
    for (const name of ['mv0', 'ifb0', 'tap0', 'tun0']) sameAsIp(client, name);
    expect(client.link('mv0')).toMatchObject({ parent, kind: { type: 'macvlan', mode: 'bridge' } });
    expect(ipLink('mv0').linkinfo).toMatchObject({ info_kind: 'macvlan', info_data: { mode: 'bridge' } });
    expect(client.link('ifb0')?.kind).toEqual({ type: 'ifb' });
    expect(client.link('tap0')?.kind).toMatchObject({ mode: 'tap', owner: 12, group: 34, persist: true });
    expect(client.link('tun0')).toMatchObject({ mac: undefined, kind: { type: 'tun', mode: 'tun' } });
  });

  test.each([
    ['dummy', { name: 'dum0', kind: { type: 'dummy' } }],
    ['vlan', { name: 'vlan0', kind: { type: 'other', name: 'vlan' } }],
    ['bridge VLAN filtering', { name: 'brv', kind: { type: 'bridge', vlanFiltering: true } }],
  ] satisfies [string, LinkSpec][])('%s, where the kernel has it', (feature, spec) => {
    using client = Rtnetlink.open();
    try {
      client.createLink(spec);
    } catch (error) {
      if (hasErrno(error, 'EOPNOTSUPP')) return kernelLacks(feature);
      // A vlan without data reaches the driver, which misses its id: the kernel has the kind.
      if (feature === 'vlan' && hasErrno(error, 'EINVAL')) return;
      throw error;
    }
    sameAsIp(client, spec.name);
  });
});

describeInNetns(import.meta.path, 'changes of links', () => {
  test('name, mtu, mac, alias, queue length', () => {
    using client = Rtnetlink.open();
    const index = pair(client, 'old');
    const mac = Mac.parse('02:aa:bb:cc:dd:ee');
    client.setLink(index, { name: 'new', mtu: 1334, mac, alias: 'a', txQueueLength: 5, addrGenMode: 'none' });
    sameAsIp(client, 'new');
    expect(client.link(index)).toMatchObject({ name: 'new', mtu: 1334, mac, alias: 'a', txQueueLength: 5 });
    client.setLink(index, { alias: '' });
    expect(client.link(index)).toMatchObject({ alias: undefined, mtu: 1334 });
    expect(client.link('old')).toBeUndefined();
  });

  test('a namespace: made there, moved there, seen from both sides', () => {
    using client = Rtnetlink.open();
    using pod = NamedNetns.create('flrt');
    using netns = Netns.open(pod.path);
    client.createLink({
      name: 'host0',
      up: true,
      kind: { type: 'veth', peer: { name: 'eth0', netns, up: true } },
    });
    using inside = Rtnetlink.openIn(netns);
    const [host0, eth0] = [client.link('host0'), inside.link('eth0')];
    expect(host0?.parent).toBe(eth0?.index ?? -1);
    expect(eth0).toMatchObject({ up: true, running: true });
    expect(host0?.parentNetnsid).toBeNumber();
    expect(client.link('eth0')).toBeUndefined();
    client.createLink({ name: 'br1', netns, alias: 'inside', kind: { type: 'bridge' } });
    expect(inside.link('br1')).toMatchObject({ alias: 'inside', kind: { type: 'bridge' } });
    client.createLink({ name: 'ifb7', kind: { type: 'ifb' } });
    client.setLink(client.link('ifb7')?.index ?? 0, { netns });
    expect(client.link('ifb7')).toBeUndefined();
    expect(inside.link('ifb7')?.kind).toEqual({ type: 'ifb' });
    expect(pod.exec(['ip', '-br', 'link'])).toContain('ifb7');
  });

  test('deleting by name and by index; a pair goes together', () => {
    using client = Rtnetlink.open();
    const index = pair(client, 'gone');
    client.deleteLink(index);
    expect(client.link('gone-peer')).toBeUndefined();
    pair(client, 'gone');
    client.deleteLink('gone-peer');
    expect(client.link('gone')).toBeUndefined();
    expect(() => client.deleteLink('gone')).toThrow('delete link gone: no such device (ENODEV)');
  });

  test('errors say what was tried, and the words of the kernel', () => {
    using client = Rtnetlink.open();
    pair(client, 'taken');
    const again = { name: 'taken', kind: { type: 'bridge' } } as const;
    expect(() => client.createLink(again)).toThrow('create bridge link taken: already exists (EEXIST)');
    const index = client.link('taken')?.index ?? 0;
    expect(() => client.setLink(index, { mtu: 10 })).toThrow(
      /change link \d+ \(mtu\).*\(EINVAL\): mtu less than/,
    );
    expect(client.link('not-there')).toBeUndefined();
    expect(client.link(4242)).toBeUndefined();
    expect(() => client.setLink(4242, { up: true })).toThrow('ENODEV');
    expect(() => client.link('a-name-longer-than-fifteen')).toThrow('ERANGE');
  });

  test('a link without IPv6 needs no address generation mode', () => {
    using client = Rtnetlink.open();
    // Below 1,280 bytes (RFC 8200 section 5) the kernel takes IPv6 off the link.
    client.createLink({ name: 'small', mtu: 1000, addrGenMode: 'none', up: true, kind: { type: 'bridge' } });
    const link = client.link('small');
    expect(link).toMatchObject({ mtu: 1000, up: true, addrGenMode: undefined });
    expect(() => client.setLink(link?.index ?? 0, { addrGenMode: 'none' })).toThrow('EAFNOSUPPORT');
  });

  test('a creation whose second step fails leaves nothing behind', () => {
    using client = Rtnetlink.open();
    const alias = 'x'.repeat(300);
    const spec = { name: 'half', alias, kind: { type: 'bridge' } } as const;
    expect(() => client.createLink(spec)).toThrow();
    expect(client.link('half')).toBeUndefined();
  });
});
