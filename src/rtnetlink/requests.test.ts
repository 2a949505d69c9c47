import { expect, test } from 'bun:test';
import { ByteWriter, readU16, readU32 } from '#base/bytes.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { forEachAttribute } from '#netlink/attribute.ts';
import { NLM_F, writeMessage, type NetlinkRequest } from '#netlink/message.ts';
import { IFA_F, NUD, RTM, RTN } from './constants.ts';
import { dumpFdb, getFdb } from './fdb.ts';
import { dumpPortVlans } from './link/bridge-vlan.ts';
import { dumpNeighbours, getNeighbour } from './neighbour.ts';
import {
  addAddress,
  addFdb,
  addNeighbour,
  addPortVlans,
  addRoute,
  deleteAddress,
  deleteFdb,
  deleteLink,
  deleteNeighbour,
  deletePortVlans,
  deleteRoute,
  newLink,
  setLink,
} from './requests.ts';
import { GETS, REQUESTS } from './testdata/captured.ts';

type Command = keyof typeof REQUESTS;

const mac = Mac.parse('02:00:00:00:00:02');
const ip = Ip.parse('10.244.2.0');
const dst = Cidr.parse('10.244.2.0/24');

const SAME: readonly (readonly [Command, NetlinkRequest])[] = [
  [
    'ip link add flannel.1 address 02:00:00:00:00:0c type vxlan id 1 dstport 8472 local 192.0.2.1 dev e0 nolearning',
    newLink({
      name: 'flannel.1',
      mac: Mac.parse('02:00:00:00:00:0c'),
      kind: { type: 'vxlan', vni: 1, port: 8472, local: Ip.parse('192.0.2.1'), parent: 10, learning: false },
    }),
  ],
  [
    'ip link add v0 mtu 1400 type veth peer name v1 mtu 1300',
    newLink({ name: 'v0', mtu: 1400, kind: { type: 'veth', peer: { name: 'v1', mtu: 1300 } } }),
  ],
  [
    'ip link add br7 type bridge ageing_time 10000',
    newLink({ name: 'br7', kind: { type: 'bridge', ageingTime: 10000 } }),
  ],
  [
    'ip link add mv0 link e0 type macvlan mode bridge',
    newLink({ name: 'mv0', kind: { type: 'macvlan', parent: 10, mode: 'bridge' } }),
  ],
  ['ip link set e1 mtu 1400 up', setLink(11, { mtu: 1400, up: true })],
  ['ip link set flannel.1 addrgenmode none', setLink(12, { addrGenMode: 'none' })],
  ['ip link del v0', deleteLink(3)],
  [
    'ip addr add 10.1.2.3/24 brd + dev e0 label e0:1',
    addAddress({ link: 10, cidr: Cidr.parse('10.1.2.3/24'), broadcast: 'auto', label: 'e0:1' }),
  ],
  [
    'ip addr add 2001:db8::2/64 nodad dev e0',
    addAddress({ link: 10, cidr: Cidr.parse('2001:db8::2/64'), flags: IFA_F.NODAD }),
  ],
  ['ip addr del 10.1.2.3/24 dev e0', deleteAddress({ link: 10, cidr: Cidr.parse('10.1.2.3/24') })],
  [
    'ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink',
    addRoute({ dst, gateway: ip, link: 12, onlink: true }),
  ],
  ['ip route del 10.244.2.0/24 via 10.244.2.0 dev flannel.1', deleteRoute({ dst, gateway: ip, link: 12 })],
  [
    'ip route replace 10.246.0.0/16 dev e0 mtu 1400 table 1000',
    addRoute(
      { dst: Cidr.parse('10.246.0.0/16'), link: 10, metrics: { mtu: 1400 }, table: 1000 },
      { replace: true },
    ),
  ],
  [
    'ip -6 route add 2001:db8:2::/64 via 2001:db8::2',
    addRoute({ dst: Cidr.parse('2001:db8:2::/64'), gateway: Ip.parse('2001:db8::2') }),
  ],
  [
    'ip route add blackhole 10.245.0.0/16',
    addRoute({ dst: Cidr.parse('10.245.0.0/16'), type: RTN.BLACKHOLE }),
  ],
  [
    'ip neigh replace 10.244.2.0 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent',
    addNeighbour({ link: 12, ip, mac }, { replace: true }),
  ],
  ['ip neigh del 10.244.2.0 dev flannel.1', deleteNeighbour({ link: 12, ip })],
  [
    'bridge fdb add 02:00:00:00:00:02 dev flannel.1 dst 192.0.2.2',
    addFdb({ link: 12, mac, dst: Ip.parse('192.0.2.2'), state: NUD.PERMANENT | NUD.NOARP }),
  ],
  [
    'bridge fdb del 02:00:00:00:00:02 dev flannel.1 dst 192.0.2.2',
    deleteFdb({ link: 12, mac, dst: Ip.parse('192.0.2.2') }),
  ],
  [
    'bridge vlan add dev e1 vid 100 pvid untagged',
    addPortVlans(11, [{ first: 100, last: 100, pvid: true, untagged: true }]),
  ],
  ['bridge vlan add dev e1 vid 200-210', addPortVlans(11, [{ first: 200, last: 210 }])],
  ['bridge vlan del dev e1 vid 1', deletePortVlans(11, [{ first: 1, last: 1 }])],
  ['bridge -compressvlans vlan show', dumpPortVlans()],
  [
    'ip link add br8 type bridge vlan_filtering 1',
    newLink({ name: 'br8', kind: { type: 'bridge', vlanFiltering: true } }),
  ],
  ['bridge fdb show dev flannel.1', dumpFdb({ link: 12 })],
  ['ip neigh show dev flannel.1', dumpNeighbours({ link: 12, family: 'ipv4' })],
];

/** Where attributes stand inside attributes, by path of types; the value: bytes of a header in front of them. */
const NESTED: Readonly<Record<string, number>> = {
  '18': 0,
  '18.2': 0,
  '18.2.1': 16,
  '26': 0,
  '26.10': 0,
  '8': 0,
};
const HEADERS: Readonly<Record<number, number>> = { 0: 16, 1: 8, 2: 12, 3: 12 };

type Tree = { readonly [type: string]: Tree | string };

/** Attributes in any order, without the flag that only newer messages put on nested ones. */
function tree(bytes: Uint8Array, prefix: string, nested: Readonly<Record<string, number>>): Tree {
  const result: Record<string, Tree | string> = {};
  forEachAttribute(bytes, { path: '', offset: 0 }, (type, payload) => {
    const path = prefix === '' ? `${type}` : `${prefix}.${type}`;
    const header = nested[path];
    // A bridge and a macvlan have plain numbers where veth has its peer.
    const inside = header !== undefined && payload.length > header;
    result[type] = inside
      ? { header: payload.subarray(0, header).toHex(), ...tree(payload.subarray(header), path, nested) }
      : payload.toHex();
  });
  return result;
}

function canonical(message: Uint8Array) {
  const type = readU16(message, 4);
  const header = 16 + (HEADERS[Math.floor((type - 16) / 4)] ?? 0);
  // Only links nest by these paths, routes only their metrics.
  const nested =
    type <= RTM.GETLINK
      ? { ...NESTED, '8': -1 }
      : type <= RTM.GETROUTE && type >= RTM.NEWROUTE
        ? { '8': 0 }
        : {};
  return {
    length: readU32(message, 0),
    type,
    flags: readU16(message, 6) & ~NLM_F.ACK,
    header: message.subarray(16, header).toHex(),
    attributes: tree(message.subarray(header), '', nested),
  };
}

function encode(request: NetlinkRequest): Uint8Array {
  const out = new ByteWriter();
  writeMessage(out, request, 0, 0);
  return out.copy();
}

/** Headers that differ for a reason. */
const OTHER_HEADERS: Readonly<Partial<Record<Command, string>>> = {
  // The kernel does not look at the state of what is deleted.
  'ip neigh del 10.244.2.0 dev flannel.1': '020000000c00000000000000',
  'bridge fdb del 02:00:00:00:00:02 dev flannel.1 dst 192.0.2.2': '070000000c00000000000200',
  // One family at a time.
  'ip neigh show dev flannel.1': '020000000000000000000000',
};

/** Of one object, not a dump. */
test.each([
  ['ip neigh get 10.244.2.0 dev flannel.1', getNeighbour({ link: 12, ip })],
  ['bridge fdb get 02:00:00:00:00:02 dev flannel.1 self', getFdb({ link: 12, mac })],
] as const)('%s', (command, request) => {
  const ours = encode(request);
  expect(ours.subarray(16).toHex()).toBe(GETS[command]);
  expect(readU16(ours, 6)).toBe(NLM_F.REQUEST);
});

test.each(SAME)('%s', (command, request) => {
  const dump = request.type % 4 === 2 ? NLM_F.DUMP : 0;
  const ours = canonical(encode(request));
  const theirs = canonical(Uint8Array.fromHex(REQUESTS[command]));
  expect({ ...ours, flags: ours.flags | dump }).toEqual({
    ...theirs,
    header: OTHER_HEADERS[command] ?? theirs.header,
  });
});

test('every captured request is compared', () => {
  expect(SAME.map(([command]) => command).toSorted()).toEqual(
    (Object.keys(REQUESTS) as Command[]).toSorted(),
  );
});

test('requests say what they do', () => {
  const gateway = ip;
  expect(addRoute({ dst, gateway, link: 7, onlink: true }).what).toBe(
    'add route 10.244.2.0/24 via 10.244.2.0 dev 7 onlink',
  );
  expect(addRoute({ dst: { default: 'ipv6' }, link: 7, table: 9 }).what).toBe(
    'add route default (ipv6) dev 7 table 9',
  );
  expect(addRoute({ dst, type: RTN.BLACKHOLE }, { replace: true }).what).toBe(
    'set route blackhole 10.244.2.0/24',
  );
  expect(deleteRoute({ dst, link: 7 }).what).toBe('delete route 10.244.2.0/24 dev 7');
  expect(addFdb({ link: 7, mac, dst: gateway }).what).toBe(
    'add FDB entry 02:00:00:00:00:02 dst 10.244.2.0 on link 7',
  );
  expect(addNeighbour({ link: 7, ip, mac }).what).toBe(
    'add neighbour 10.244.2.0 02:00:00:00:00:02 on link 7',
  );
  expect(addAddress({ link: 7, cidr: dst }).what).toBe('add address 10.244.2.0/24 on link 7');
  expect(newLink({ name: 'wg0', kind: { type: 'other', name: 'wireguard' } }).what).toBe(
    'create wireguard link wg0',
  );
  expect(setLink(7, { up: false, mtu: 1400 }).what).toBe('change link 7 (up, mtu)');
  expect(deleteLink('cni0').what).toBe('delete link cni0');
});
