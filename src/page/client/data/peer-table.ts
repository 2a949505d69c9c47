import { Cidr } from '#net/cidr.ts';
import type { PeerView } from '../../model.ts';

export const COLUMNS = ['name', 'subnet', 'publicIp', 'mac', 'state'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

/** Worst first: what a reader looks for. */
const RANK: Readonly<Record<PeerView['state'], number>> = { refused: 0, left_out: 1, direct: 2, tunnel: 3 };

/** A peer with what it is sorted and searched by, worked out once. */
export interface Row {
  readonly peer: PeerView;
  /** Its first subnet as a number within its family, and the family's order; prefixes that cannot be read come last. */
  readonly address: readonly [family: number, value: bigint];
  readonly haystack: string;
}

export function rowsOf(peers: readonly PeerView[]): Row[] {
  return peers.map((peer) => {
    const cidr = Cidr.tryParse(peer.subnets[0] ?? '');
    const family = cidr === undefined ? 2 : cidr.family === 'ipv4' ? 0 : 1;
    const parts = [peer.name, ...peer.subnets, ...peer.publicIps, peer.vtepMac ?? ''];
    return { peer, address: [family, cidr?.ip.value ?? 0n], haystack: parts.join('\n').toLowerCase() };
  });
}

/** Whether every word of `query` is somewhere in the peer's name, subnets, addresses or MAC; an address also finds its subnet. */
export function matcher(query: string): (row: Row) => boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const inside = words.map((word) => {
    // A whole address is looked for in the subnets, too: whose pod is 10.244.7.19?
    const cidr = Cidr.tryParse(word.includes('/') ? word : `${word}/${word.includes(':') ? 128 : 32}`);
    return { word, cidr };
  });
  return ({ peer, haystack }) =>
    inside.every(
      ({ word, cidr }) =>
        haystack.includes(word) ||
        (cidr !== undefined && peer.subnets.some((subnet) => Cidr.tryParse(subnet)?.contains(cidr) === true)),
    );
}

/** A sorted copy. Equal ones are in the order of their addresses, then names. */
export function sortRows(rows: readonly Row[], { column, descending }: Order): Row[] {
  const sign = descending ? -1 : 1;
  const primary = COMPARE[column];
  return rows.toSorted((a, b) => sign * primary(a, b) || byAddress(a, b) || byText(a.peer.name, b.peer.name));
}

const COMPARE: Readonly<Record<Column, (a: Row, b: Row) => number>> = {
  name: (a, b) => natural(a.peer.name, b.peer.name),
  subnet: byAddress,
  publicIp: (a, b) => natural(a.peer.publicIps[0] ?? '', b.peer.publicIps[0] ?? ''),
  mac: (a, b) => byText(a.peer.vtepMac ?? '', b.peer.vtepMac ?? ''),
  state: (a, b) => RANK[a.peer.state] - RANK[b.peer.state],
};

export function byAddress(a: Row, b: Row): number {
  return (
    a.address[0] - b.address[0] || Number(a.address[1] > b.address[1]) - Number(a.address[1] < b.address[1])
  );
}

function byText(a: string, b: string): number {
  return Number(a > b) - Number(a < b);
}

/** Numbers inside a text by their value: n2 before n10. */
function natural(a: string, b: string): number {
  const left = a.split(/(\d+)/);
  const right = b.split(/(\d+)/);
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const [x = '', y = ''] = [left[i], right[i]];
    const byNumber = i % 2 === 1 ? Number(x) - Number(y) : 0;
    const result = byNumber || byText(x, y);
    if (result !== 0) return result;
  }
  return left.length - right.length;
}

/** Which rows of `count` are in sight, with some to spare; heights in px. */
export function windowOf(scroll: { top: number; height: number }, rowHeight: number, count: number) {
  const spare = 8;
  const first = Math.floor(Math.max(0, scroll.top) / rowHeight) - spare;
  const from = Math.max(0, Math.min(first, count));
  const to = Math.min(count, Math.ceil((Math.max(0, scroll.top) + scroll.height) / rowHeight) + spare);
  return { from, to: Math.max(from, to) };
}
