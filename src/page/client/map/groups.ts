import { Cidr } from '#net/cidr.ts';
import type { PeerView } from '../../model.ts';
import { byAddress, rowsOf, type Row } from '../data/peer-table.ts';

/** Peers whose subnets lie in one prefix. */
export interface Group {
  /** The prefix; empty for those whose subnet cannot be read. */
  readonly prefix: string;
  readonly peers: readonly PeerView[];
}

/** Up to this many peers each stand for themselves. */
export const SINGLE_UP_TO = 36;

/**
 * Peers in the order of their addresses, gathered by the shortest prefix that makes about as many groups as are good to look at.
 * Unlike groups by hash or by state it holds still: a peer that changes its state stays where it is.
 */
export function groupPeers(peers: readonly PeerView[]): Group[] {
  const rows = rowsOf(peers).toSorted(byAddress);
  const wanted = Math.min(64, Math.max(6, Math.round(Math.sqrt(peers.length) * 0.8)));
  const families = [0, 1].map((family) => rows.filter(({ address }) => address[0] === family));
  const unread = rows.filter(({ address }) => address[0] === 2);
  return [
    ...families.flatMap((family) => byPrefix(family, Math.ceil((wanted * family.length) / rows.length))),
    ...(unread.length === 0 ? [] : [{ prefix: '', peers: unread.map(({ peer }) => peer) }]),
  ];
}

function byPrefix(rows: readonly Row[], wanted: number): Group[] {
  const [first] = rows;
  if (first === undefined) return [];
  const bits = first.address[0] === 0 ? 32 : 128;
  let length = 0;
  while (length < bits && countPrefixes(rows, bits - length) < wanted) length += 1;
  const host = BigInt(bits - length);
  const groups = new Map<bigint, PeerView[]>();
  for (const { peer, address } of rows) {
    const key = address[1] >> host;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [peer]);
    else group.push(peer);
  }
  return [...groups.values()].map((members) => {
    const subnet = Cidr.parse(members[0]?.subnets[0] ?? '');
    return { prefix: new Cidr(subnet.ip, length).network().toString(), peers: members };
  });
}

/** Of sorted rows. */
function countPrefixes(rows: readonly Row[], host: number): number {
  let count = 0;
  let last: bigint | undefined;
  for (const { address } of rows) {
    const prefix = address[1] >> BigInt(host);
    if (prefix !== last) count += 1;
    last = prefix;
  }
  return count;
}
