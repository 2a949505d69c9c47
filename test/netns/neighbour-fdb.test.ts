import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { NTF, NUD } from '#rtnetlink/constants.ts';
import {
  addFdb,
  addNeighbour,
  addRoute,
  deleteFdb,
  deleteNeighbour,
  deleteRoute,
} from '#rtnetlink/requests.ts';
import { describeInNetns, json, measured, must } from '../support/netns.ts';

/** A VXLAN link over a veth pair, all up; returns its index. */
function vxlan(client: Rtnetlink, name: string, vni: number): number {
  const under = `u${vni}`;
  client.createLink({ name: under, up: true, kind: { type: 'veth', peer: { name: `${under}p`, up: true } } });
  const parent = client.link(under)?.index ?? 0;
  client.createLink({
    name,
    up: true,
    addrGenMode: 'none',
    kind: { type: 'vxlan', vni, port: 8472, parent, local: Ip.parse('192.0.2.1'), learning: false },
  });
  return client.link(name)?.index ?? 0;
}

const mac = Mac.parse('02:00:00:00:00:02');
const other = Mac.parse('02:00:00:00:00:03');

describeInNetns(import.meta.path, 'one entry', () => {
  test('is found among others, and one that is not there is none', () => {
    using client = Rtnetlink.open();
    const link = vxlan(client, 'vx', 1);
    const [ip, dst] = [Ip.parse('10.244.2.0'), Ip.parse('192.0.2.2')];
    expect(client.neighbour(link, ip)).toBeUndefined();
    expect(client.fdbEntry(link, mac)).toBeUndefined();
    client.addNeighbour({ link, ip, mac });
    client.addNeighbour({ link, ip: Ip.parse('10.244.3.0'), mac: other });
    client.addFdb({ link, mac, dst });
    client.addFdb({ link, mac: other, dst: Ip.parse('192.0.2.3') });
    expect(String(client.neighbour(link, ip)?.mac)).toBe(String(mac));
    expect(String(client.fdbEntry(link, mac)?.dst)).toBe(String(dst));
    client.deleteNeighbour({ link, ip });
    client.deleteFdb({ link, mac, dst });
    expect(client.neighbour(link, ip)).toBeUndefined();
    expect(client.fdbEntry(link, mac)).toBeUndefined();
  });
});

describeInNetns(import.meta.path, 'neighbours', () => {
  test('both families: add, replace, read with and without a filter, delete', () => {
    using client = Rtnetlink.open();
    const link = vxlan(client, 'vx', 1);
    const elsewhere = vxlan(client, 'vy', 2);
    for (const [family, text] of [
      ['ipv4', '10.244.2.0'],
      ['ipv6', '2001:db8:2::'],
    ] as const) {
      const ip = Ip.parse(text);
      client.addNeighbour({ link, ip, mac });
      client.addNeighbour({ link: elsewhere, ip, mac });
      const find = () => client.neighbours({ link, family }).filter((each) => each.ip.equals(ip));
      expect(find()).toMatchObject([{ link, state: NUD.PERMANENT, flags: 0 }]);
      expect(String(find()[0]?.mac)).toBe(String(mac));
      expect(json(['ip', '-j', 'neigh', 'show', text, 'dev', 'vx'])).toMatchObject([
        { dst: text, lladdr: String(mac), state: ['PERMANENT'] },
      ]);
      expect(() => client.addNeighbour({ link, ip, mac: other })).toThrow(
        `add neighbour ${text} ${other} on link ${link}: already exists (EEXIST)`,
      );
      client.replaceNeighbour({ link, ip, mac: other, state: NUD.REACHABLE });
      expect(find()).toMatchObject([{ state: NUD.REACHABLE }]);
      expect(String(find()[0]?.mac)).toBe(String(other));
      expect(client.neighbours({ family }).filter((each) => each.ip.equals(ip)).length).toBe(2);
      client.deleteNeighbour({ link, ip });
      expect(client.neighbours({ family }).filter((each) => each.ip.equals(ip)).length).toBe(1);
    }
    const gone = { link, ip: Ip.parse('10.9.9.9') };
    expect(() => client.deleteNeighbour(gone)).toThrow(`delete neighbour 10.9.9.9 of link ${link}: no such`);
  });
});

describeInNetns(import.meta.path, 'FDB', () => {
  const one = Ip.parse('192.0.2.2');
  const two = Ip.parse('192.0.2.3');

  test('entries of one VXLAN link: the same that bridge shows', () => {
    using client = Rtnetlink.open();
    const link = vxlan(client, 'vx', 1);
    const elsewhere = vxlan(client, 'vy', 2);
    client.addFdb({ link, mac, dst: one });
    client.addFdb({ link: elsewhere, mac: other, dst: two });
    const read = () => client.fdb({ link }).map((each) => [String(each.mac), String(each.dst)]);
    const shown = () =>
      json(['bridge', '-j', 'fdb', 'show', 'dev', 'vx']).map((each) => [each['mac'], each['dst']]);
    expect(read()).toEqual([[String(mac), '192.0.2.2']]);
    expect(shown()).toEqual(read());
    expect(client.fdb({ link })).toMatchObject([{ link, state: NUD.PERMANENT, flags: NTF.SELF }]);
    expect(() => client.addFdb({ link, mac, dst: two })).toThrow(
      `add FDB entry ${mac} dst 192.0.2.3 on link ${link}: already exists (EEXIST)`,
    );
    client.replaceFdb({ link, mac, dst: two });
    expect(read()).toEqual([[String(mac), '192.0.2.3']]);
    // The zero address floods: any number of destinations.
    const flood = Mac.parse('00:00:00:00:00:00');
    client.appendFdb({ link, mac: flood, dst: one });
    client.appendFdb({ link, mac: flood, dst: two });
    expect(read().length).toBe(3);
    expect(shown().map(String).toSorted()).toEqual(read().map(String).toSorted());
    client.deleteFdb({ link, mac: flood, dst: one });
    client.deleteFdb({ link, mac, dst: two });
    expect(read()).toEqual([[String(flood), '192.0.2.3']]);
    expect(() => client.deleteFdb({ link, mac, dst: two })).toThrow(
      `delete FDB entry ${mac} dst 192.0.2.3 of`,
    );
  });

  test('with port and VNI of their own, and over IPv6', () => {
    using client = Rtnetlink.open();
    const link = vxlan(client, 'vz', 3);
    client.addFdb({ link, mac, dst: one, port: 4789, vni: 77 });
    expect(client.fdb({ link })).toMatchObject([{ port: 4789, vni: 77 }]);
    expect(json(['bridge', '-j', 'fdb', 'show', 'dev', 'vz'])).toMatchObject([{ port: 4789, vni: 77 }]);
    must(['ip', 'link', 'add', 'v6', 'type', 'vxlan', 'id', '9', 'dstport', '4789', 'local', '2001:db8::1']);
    const six = client.link('v6')?.index ?? 0;
    client.addFdb({ link: six, mac, dst: Ip.parse('2001:db8::2') });
    expect(client.fdb({ link: six }).map((each) => String(each.dst))).toEqual(['2001:db8::2']);
  });

  test('the table of a bridge is not that of its port', () => {
    using client = Rtnetlink.open();
    const link = vxlan(client, 'vp', 4);
    client.createLink({ name: 'br0', up: true, kind: { type: 'bridge' } });
    client.setLink(link, { master: client.link('br0')?.index ?? 0 });
    client.addFdb({ link, mac, dst: one });
    client.addFdb({ link, mac: other, flags: NTF.MASTER });
    expect(client.fdb({ link }).map((each) => String(each.mac))).toEqual([String(mac)]);
    const shown = json(['bridge', '-j', 'fdb', 'show', 'dev', 'vp']);
    expect(shown.find((each) => each['mac'] === String(other))).toMatchObject({ master: 'br0' });
  });
});

describeInNetns(import.meta.path, 'batches', () => {
  const peers = 5000;
  const network = (i: number) => new Cidr(Ip.parse('10.0.0.0').add((i + 1) * 256), 24);
  const peerMac = (i: number) =>
    Mac.parse(`02:00:00:00:${(i + 0x10000).toString(16).slice(1).replace(/../, '$&:')}`);

  test('5,000 peers: three entries each, read back, taken away', () => {
    using client = Rtnetlink.open();
    const link = vxlan(client, 'vx', 1);
    client.addAddress({ link, cidr: Cidr.parse('10.0.0.0/32') });
    const all = Array.from({ length: peers }, (_, i) => ({
      dst: network(i),
      ip: network(i).ip,
      mac: peerMac(i),
    }));
    const underlay = Ip.parse('172.16.0.0');
    const add = all.flatMap(({ dst, ip, mac }, i) => [
      addRoute({ dst, gateway: ip, link, onlink: true }),
      addNeighbour({ link, ip, mac }),
      addFdb({ link, mac, dst: underlay.add(i) }),
    ]);
    const start = performance.now();
    expect(client.apply(add).filter((error) => error !== undefined)).toEqual([]);
    const applied = performance.now();
    const routes = client.routes({ family: 'ipv4', link, table: 254 });
    const neighbours = client.neighbours({ family: 'ipv4', link });
    const fdb = client.fdb({ link });
    const read = performance.now();
    const [writing, reading] = [Math.round(applied - start), Math.round(read - applied)];
    measured(`5,000 peers: 15,000 requests in ${writing} ms, 15,000 entries read in ${reading} ms`);
    expect(new Set(routes.map((each) => String(each.dst)))).toEqual(
      new Set(all.map(({ dst }) => String(dst))),
    );
    expect(neighbours.length).toBe(peers);
    expect(new Map(fdb.map((each) => [String(each.mac), String(each.dst)]))).toEqual(
      new Map(all.map(({ mac }, i) => [String(mac), String(underlay.add(i))])),
    );
    // Every second request again fails, and exactly that one is told.
    const mixed = [0, 1, 2, 3].flatMap((i) => [
      deleteFdb({ link, mac: peerMac(i) }),
      addNeighbour({ link, ip: network(i).ip, mac: other }),
    ]);
    expect(client.apply(mixed).map((error) => error?.code)).toEqual(
      [0, 1, 2, 3].flatMap(() => [undefined, 'EEXIST']),
    );
    const remove = all.flatMap(({ dst, ip, mac }, i) => [
      deleteRoute({ dst, gateway: ip, link }),
      deleteNeighbour({ link, ip }),
      ...(i < 4 ? [] : [deleteFdb({ link, mac })]),
    ]);
    expect(client.apply(remove).filter((error) => error !== undefined)).toEqual([]);
    expect(client.fdb({ link })).toEqual([]);
    expect(client.routes({ family: 'ipv4', link, table: 254 })).toEqual([]);
  });

  test('errors of a large batch, all of them failing, each with its own words', () => {
    using client = Rtnetlink.open();
    const requests = Array.from({ length: 1000 }, (_, i) => deleteNeighbour({ link: 1, ip: network(i).ip }));
    const errors = client.apply(requests);
    expect(errors.map((error) => error?.call)).toEqual(requests.map(({ what }) => what));
    expect(new Set(errors.map((error) => error?.code))).toEqual(new Set(['ENOENT']));
    expect(client.apply([])).toEqual([]);
    // The connection is in step afterwards.
    expect(client.links().length).toBeGreaterThan(0);
  });
});
