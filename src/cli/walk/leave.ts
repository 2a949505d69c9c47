import type { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { IFF, NUD } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { dead, isWay, MEND, noWay, routeText, type WalkContext } from './context.ts';
import { isUsable } from './kernel.ts';
import { dies, type End } from './trail.ts';

/** Where VXLAN sends what no other entry knows. */
const EVERYBODY = Mac.parse('00:00:00:00:00:00');
/** Outer IP, UDP, VXLAN and inner Ethernet header, bytes (RFC 7348 section 5). */
const OVERHEAD = { ipv4: 50, ipv6: 70 } as const;

export interface Hop {
  readonly link: Link;
  readonly next: Ip;
}

/** Into the overlay: next hop to MAC, MAC to the peer's address, and the outer packet on its way. */
export function tunnelled(context: WalkContext, { link, next }: Hop): End {
  const { node, trail, peerOf } = context;
  const neighbour = node.neighbour(link.index, next);
  if (neighbour?.mac === undefined || !isUsable(neighbour))
    return dies(
      `no neighbour ${next} on ${link.name}: the overlay has nobody who would answer ARP for it`,
      MEND,
    );
  const { mac } = neighbour;
  const ends = node.tunnelEnds(link.index, mac);
  const [end, ...more] = ends.length > 0 ? ends : node.tunnelEnds(link.index, EVERYBODY);
  if (end === undefined)
    return dies(`no FDB entry of ${link.name} for ${mac}: nobody knows where that MAC is`, MEND);
  const who = peerOf(end);
  const peer = who === undefined ? `${end}` : `${end} (${who})`;
  const astray = misdirected(context, { next, mac, end });
  if (astray !== undefined) return astray;
  const others = more.length === 0 ? '' : `, and behind ${more.length} more`;
  trail.step(
    `node ${link.name}`,
    `neighbour ${next} is ${mac}, the peer's VTEP; FDB: it is behind ${peer}${others}`,
  );
  return outer(context, link, end);
}

/** What leads to another node than the plan does, or to the right one in a frame that it does not take. */
function misdirected(
  { destination, peerOf, plannedFor }: WalkContext,
  { next, mac, end }: { readonly next: Ip; readonly mac: Mac; readonly end: Ip },
): End | undefined {
  const owner = peerOf(destination);
  if (owner === undefined) return undefined;
  for (const entry of plannedFor(owner)) {
    if (entry.type === 'neighbour' && entry.ip.equals(next) && !entry.mac.equals(mac))
      return dies(
        `neighbour ${next} is ${mac}; ${owner}'s VTEP, which has ${destination}, is ${entry.mac}`,
        MEND,
      );
    if (entry.type === 'fdb' && entry.mac.equals(mac) && !entry.dst.equals(end)) {
      const who = peerOf(end);
      const there = who === undefined ? `${end}, which is no node's` : `${end} (${who})`;
      return dies(
        `FDB: ${mac} is behind ${there}; ${owner}, which has ${destination}, is at ${entry.dst}`,
        MEND,
      );
    }
  }
  return undefined;
}

function outer(context: WalkContext, tunnel: Link, end: Ip): End {
  const { node, size } = context;
  const local = tunnel.kind?.type === 'vxlan' ? tunnel.kind.local : undefined;
  const question = local === undefined ? {} : { from: local };
  const route = node.lookUp(end, question);
  if (!isWay(route)) return noWay(node, route, { to: end, who: 'this node, for the outer packet,' });
  const link = node.link(route.link);
  if (link === undefined) return dies('the route of the outer packet names no device');
  const bytes = size + OVERHEAD[end.family];
  const port = tunnel.kind?.type === 'vxlan' ? ` ${tunnel.kind.port}` : '';
  const notes = [
    `wrapped in UDP${port} from ${local ?? 'an address of this node'} to ${end}, ${bytes} bytes`,
    ...(bytes > link.mtu
      ? [`${bytes} bytes do not fit MTU ${link.mtu} of ${link.name}: the outer packet is fragmented`]
      : []),
  ];
  context.trail.step(
    `node ${link.name}`,
    `node route ${routeText(node, route, { to: end, question })}`,
    notes,
  );
  return dead(link) ?? onTheWire(context, { link, next: route.gateway ?? end });
}

/** Out of this node, to `next`. */
export function onTheWire(context: WalkContext, hop: Hop): End {
  const { node, source, destination, peerOf } = context;
  const { link, next } = hop;
  const resolves = (link.flags & (IFF.NOARP | IFF.LOOPBACK | IFF.POINTOPOINT)) === 0;
  const neighbour = resolves ? node.neighbour(link.index, next) : undefined;
  const asking = next.family === 'ipv4' ? 'ARP' : 'neighbour discovery';
  if (neighbour !== undefined && (neighbour.state & NUD.FAILED) !== 0)
    return dies(
      `nobody answers ${asking} for ${next} on ${link.name}`,
      `Is ${peerOf(next) ?? next} up, and on this link?`,
    );
  const mac =
    neighbour === undefined || !isUsable(neighbour) ? `${asking} will ask for it` : `MAC ${neighbour.mac}`;
  const peer = peerOf(destination) ?? peerOf(next);
  const to = peer === undefined ? `${next}` : `${peer}, ${next}`;
  return {
    outcome: 'leaves',
    why: `by ${link.name} for ${to}${resolves ? ` (${mac})` : ''}`,
    ...(peer === undefined
      ? {}
      : { cure: `The rest is to be seen on ${peer}: flannelctl walk ${source} ${destination}` }),
  };
}
