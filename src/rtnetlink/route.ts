import { readU32 } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { NetlinkMessage } from '#netlink/message.ts';
import { familyOf, RTM_F, RTNH_F } from './constants.ts';
import { ROUTE_HEADER, routeTable, type NextHop, type RouteMetrics } from './route/table.ts';

export type { NextHop, RouteMetrics } from './route/table.ts';
export type { RouteSpec } from './route/request.ts';

/** A route as the kernel describes it (RTM_NEWROUTE). */
export interface Route {
  readonly family: Family;
  /** Undefined: the default route. */
  readonly dst: Cidr | undefined;
  /** Of the other family for IPv4 over an IPv6 next hop (RTA_VIA, RFC 5549). */
  readonly gateway: Ip | undefined;
  /** Index of the outgoing link. */
  readonly link: number | undefined;
  /** The preferred source address. */
  readonly source: Ip | undefined;
  readonly table: number;
  /** RTPROT_*: who installed it. */
  readonly protocol: number;
  /** RT_SCOPE_* */
  readonly scope: number;
  /** RTN_* */
  readonly type: number;
  readonly priority: number | undefined;
  readonly onlink: boolean;
  /** RTM_F_* and RTNH_F_* together. */
  readonly flags: number;
  readonly metrics?: RouteMetrics | undefined;
  /** More than one next hop: `gateway` and `link` are then undefined. */
  readonly multipath?: readonly NextHop[] | undefined;
  /** Id of a next-hop object (RTA_NH_ID). */
  readonly nextHopId?: number | undefined;
  /** A cache entry, not an entry of the table. */
  readonly cloned: boolean;
}

/** Decodes RTM_NEWROUTE and RTM_DELROUTE; undefined for other families than IP. */
export function readRoute(message: NetlinkMessage): Route | undefined {
  const { payload } = message;
  if (payload.length < ROUTE_HEADER) throw new DecodeError('route', 0, 'shorter than its header');
  const family = familyOf(payload[0] ?? 0);
  if (family === undefined) return undefined;
  const values = routeTable.read(payload.subarray(ROUTE_HEADER), { path: '', offset: ROUTE_HEADER });
  const length = payload[1] ?? 0;
  const { dst } = values;
  if (dst === undefined ? length !== 0 : dst.family !== family || length > dst.bits)
    throw new DecodeError('route', 1, `prefix length ${length} of ${dst ?? 'no address'}`);
  const flags = readU32(payload, 8);
  return {
    family,
    dst: dst === undefined || length === 0 ? undefined : new Cidr(dst, length),
    gateway: values.gateway ?? values.via,
    link: values.link,
    source: values.source,
    table: values.table ?? payload[4] ?? 0,
    protocol: payload[5] ?? 0,
    scope: payload[6] ?? 0,
    type: payload[7] ?? 0,
    priority: values.priority,
    onlink: (flags & RTNH_F.ONLINK) !== 0,
    flags,
    metrics: values.metrics,
    multipath: values.multipath,
    nextHopId: values.nextHopId,
    cloned: (flags & RTM_F.CLONED) !== 0,
  };
}
