import { describe, expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import type { Route } from '#rtnetlink/route.ts';
import { decodePacket } from '../packet/decode.ts';
import { frame } from '../packet/fixtures.ts';
import { explain } from './explain.ts';
import { routeFor, routeText, type Device, type Facts } from './facts.ts';
import { parseFrames } from './frames.ts';
import { journeyOf, type Hop } from './hop.ts';
import { story } from './story.ts';

const device = (index: number, name: string, kind: string, mac: string, bridge?: string): Device => ({
  index,
  name,
  kind,
  mac: Mac.parse(mac),
  bridge,
});
const ETH0 = device(2, 'eth0', 'veth', '92:34:f2:6e:bb:43');
const FLANNEL = device(3, 'flannel.1', 'vxlan', '02:00:00:00:00:01');
const CNI0 = device(4, 'cni0', 'bridge', '0a:00:00:00:00:01');
const PORT = device(5, 'veth1', 'veth', '0a:00:00:00:00:05', 'cni0');

function route(dst: string | undefined, link: number, gateway?: string): Route {
  return {
    family: 'ipv4',
    dst: dst === undefined ? undefined : Cidr.parse(dst),
    gateway: gateway === undefined ? undefined : Ip.parse(gateway),
    link,
    source: undefined,
    table: 254,
    protocol: 3,
    scope: 0,
    type: 1,
    priority: undefined,
    onlink: gateway !== undefined && link === 3,
    flags: 0,
    cloned: false,
  };
}

const FACTS: Facts = {
  devices: [ETH0, FLANNEL, CNI0, PORT],
  routes: [
    route(undefined, 2, '192.168.50.1'),
    route('10.244.2.0/24', 3, '10.244.2.0'),
    route('192.168.50.0/24', 2),
    route('10.244.1.0/24', 4),
  ],
  neighbours: [{ device: 'flannel.1', ip: Ip.parse('10.244.2.0'), mac: Mac.parse('02:00:00:00:00:02') }],
  fdb: [{ device: 'flannel.1', mac: Mac.parse('02:00:00:00:00:02'), dst: Ip.parse('192.168.50.12') }],
  addresses: [{ device: 'eth0', ip: Ip.parse('192.168.50.11') }],
};

const outer = decodePacket(frame('vxlanUdp'));
const inner = outer.vxlan?.inner ?? outer;

function hop(parts: Partial<Hop>): Hop {
  return {
    place: { kind: 'node', name: 'n1' },
    device: ETH0,
    outgoing: true,
    time: 1n,
    packet: inner,
    facts: FACTS,
    ...parts,
  };
}

describe('routeFor', () => {
  test('the longest prefix wins and is shown as ip route shows it', () => {
    const text = (ip: string) => {
      const found = routeFor(FACTS, Ip.parse(ip));
      return found === undefined ? undefined : routeText(FACTS, found);
    };
    expect(text('10.244.2.7')).toBe('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
    expect(text('203.0.113.10')).toBe('default via 192.168.50.1 dev eth0');
    expect(text('2001:db8::1')).toBeUndefined();
  });
});

describe('explain', () => {
  test('on the overlay device: the route and the neighbour', () => {
    expect(explain(hop({ device: FLANNEL }), undefined)).toBe(
      "node route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink; neighbour 10.244.2.0 is 02:00:00:00:00:02, the peer's VTEP",
    );
  });

  test('on the wire: the FDB entry and the wrapping', () => {
    expect(explain(hop({ packet: outer }), undefined)).toBe(
      'FDB of flannel.1: 02:00:00:00:00:02 is behind 192.168.50.12, so it is wrapped in UDP 8472 (50 bytes more) and leaves by 192.168.50.0/24 dev eth0',
    );
    expect(explain(hop({ packet: outer, outgoing: false }), undefined)).toContain(
      'VNI 1 belongs to flannel.1',
    );
  });

  test('the switch sees of a packet what is on the wire', () => {
    const place = { kind: 'underlay', name: 'underlay' } as const;
    const port = { ...ETH0, name: 'n1', bridge: 'underlay' };
    const seen = (packet: Hop['packet']) =>
      explain(hop({ place, device: port, outgoing: false, packet }), undefined);
    expect(seen(outer)).toContain('only the nodes, not the pods');
    expect(seen(inner)).toContain("the pods' addresses between the MACs of the nodes");
    expect(seen(decodePacket(frame('tcpSyn')))).toContain('it sees the node, not the pods');
  });

  test('a source that changed on the way was masqueraded', () => {
    const before = hop({ device: CNI0, outgoing: false });
    const after = hop({ packet: decodePacket(frame('tcpSyn')) });
    expect(explain(after, before)).toContain('masqueraded, 10.244.1.0:50867 became 192.168.50.11');
    expect(explain(after, after)).toBe('node route 192.168.50.0/24 dev eth0');
  });

  test('at the bridge', () => {
    const bridged = explain(hop({ device: PORT, outgoing: false }), undefined);
    expect(bridged).toContain('cni0 looks for the port of 02:00:00:00:00:02');
    expect(explain(hop({ device: PORT }), undefined)).toContain('is behind this port');
    expect(explain(hop({ device: CNI0, outgoing: false }), undefined)).toContain('enters the node');
  });

  test('missing entries make shorter sentences, never wrong ones', () => {
    const bare: Facts = { ...FACTS, routes: [], neighbours: [], fdb: [] };
    expect(explain(hop({ device: FLANNEL, facts: bare }), undefined)).toBe('it leaves by flannel.1');
    expect(explain(hop({ packet: outer, facts: bare }), undefined)).toContain('the VXLAN device sent it');
  });
});

describe('journeyOf', () => {
  test('orders by time, drops what was sent again, tells question from answer', () => {
    const hops = [
      hop({ time: 3n, device: FLANNEL }),
      hop({ time: 2n, device: CNI0 }),
      hop({ time: 9n, device: CNI0 }),
    ];
    const { request, reply } = journeyOf(hops);
    expect(request.map((each) => each.device.name)).toEqual(['cni0', 'flannel.1']);
    expect(reply).toEqual([]);
  });
});

test('the story shows outer and inner headers', () => {
  const lines = story({ request: [hop({ packet: outer })], reply: [] }, { paint: (_, text) => text });
  expect(lines).toEqual([
    '   1  n1 eth0 out              outer 192.168.50.11:47188 → 192.168.50.12:8472 UDP TTL 64',
    '      outer MAC 92:34:f2:6e:bb:43 → ea:20:1d:5c:d8:54',
    '      VXLAN VNI 1, inner 10.244.1.0:50867 → 10.244.2.0:8080 UDP TTL 64',
    '      inner MAC 02:00:00:00:00:01 → 02:00:00:00:00:02',
    `      ${explain(hop({ packet: outer }), undefined)}`,
  ]);
});

test('a line cut in the middle is left out', () => {
  const line = '{"link":2,"outgoing":true,"time":"5","frame":"00"}';
  expect(parseFrames(`capturing\n${line}\n{"link":3,"ou`)).toEqual([
    { link: 2, outgoing: true, time: '5', frame: '00' },
  ]);
});
