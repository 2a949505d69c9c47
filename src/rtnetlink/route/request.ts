import type { ByteWriter } from '#base/bytes.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import { NLM_F, type NetlinkRequest } from '#netlink/message.ts';
import { familyNumber, RT_SCOPE, RT_TABLE, RTM, RTM_F, RTN, RTNH_F, RTPROT } from '../constants.ts';
import { routeTable, type NextHop, type RouteMetrics } from './table.ts';

/** A network, or everything of one family. */
export type RouteDestination = Cidr | { readonly default: Family };

/** What a route is made from. */
export interface RouteSpec {
  readonly dst: RouteDestination;
  /** May be of the other family for IPv4 over IPv6. */
  readonly gateway?: Ip | undefined;
  readonly link?: number | undefined;
  /** The preferred source address. */
  readonly source?: Ip | undefined;
  /** Default: local for types local, broadcast and anycast, else main. */
  readonly table?: number | undefined;
  /** RTPROT_*, default boot (deleting: any). */
  readonly protocol?: number | undefined;
  /** RT_SCOPE_*; default as `ip route` has it, see `defaultScope`. */
  readonly scope?: number | undefined;
  /** RTN_*, default unicast (deleting: any). */
  readonly type?: number | undefined;
  readonly priority?: number | undefined;
  /** The gateway counts as reachable on the link, whatever its address. */
  readonly onlink?: boolean | undefined;
  readonly metrics?: RouteMetrics | undefined;
  readonly multipath?: readonly NextHop[] | undefined;
}

export interface RouteFilter {
  readonly family: Family;
  readonly table?: number | undefined;
  readonly link?: number | undefined;
  readonly protocol?: number | undefined;
}

interface Header {
  readonly family: Family;
  readonly length?: number;
  readonly sourceLength?: number;
  readonly table?: number;
  readonly protocol?: number | undefined;
  readonly scope?: number;
  readonly type?: number | undefined;
  readonly flags?: number;
}

function writeHeader(out: ByteWriter, header: Header): void {
  const {
    family,
    length = 0,
    sourceLength = 0,
    table = 0,
    protocol = 0,
    scope = 0,
    type = 0,
    flags = 0,
  } = header;
  out.u8(familyNumber(family)).u8(length).u8(sourceLength).u8(0);
  out
    .u8(table > 255 ? RT_TABLE.UNSPEC : table)
    .u8(protocol)
    .u8(scope)
    .u8(type)
    .u32(flags);
}

/**
 * The scope that `ip route` takes (iproute2, ip/iproute.c): IPv6 knows universe alone; local is host; broadcast,
 * multicast and anycast are link; unicast is link without a gateway and universe with one.
 */
export function defaultScope(spec: RouteSpec): number {
  if (familyOfSpec(spec) === 'ipv6') return RT_SCOPE.UNIVERSE;
  switch (spec.type ?? RTN.UNICAST) {
    case RTN.LOCAL:
      return RT_SCOPE.HOST;
    case RTN.BROADCAST:
    case RTN.MULTICAST:
    case RTN.ANYCAST:
      return RT_SCOPE.LINK;
    case RTN.UNICAST:
      return spec.gateway === undefined && spec.multipath === undefined ? RT_SCOPE.LINK : RT_SCOPE.UNIVERSE;
    default:
      return RT_SCOPE.UNIVERSE;
  }
}

function defaultTable(type: number | undefined): number {
  const local = type === RTN.LOCAL || type === RTN.BROADCAST || type === RTN.ANYCAST;
  return local ? RT_TABLE.LOCAL : RT_TABLE.MAIN;
}

function familyOfSpec({ dst }: RouteSpec): Family {
  return 'default' in dst ? dst.default : dst.family;
}

/** RTM_NEWROUTE. `replace`: a route to the same destination with the same priority gives way; else it is EEXIST. */
export function addRoute(spec: RouteSpec, options: { readonly replace?: boolean } = {}): NetlinkRequest {
  const { type = RTN.UNICAST, protocol = RTPROT.BOOT } = spec;
  return {
    type: RTM.NEWROUTE,
    flags: NLM_F.CREATE | (options.replace === true ? NLM_F.REPLACE : NLM_F.EXCL),
    get what() {
      return `${options.replace === true ? 'set' : 'add'} route ${routeText(spec)}`;
    },
    write: (out) =>
      writeRoute(out, spec, {
        family: familyOfSpec(spec),
        protocol,
        scope: spec.scope ?? defaultScope(spec),
        type,
        flags: spec.onlink === true ? RTNH_F.ONLINK : 0,
      }),
  };
}

/** RTM_DELROUTE of the first route that matches everything given; ESRCH when there is none. */
export function deleteRoute(spec: RouteSpec): NetlinkRequest {
  return {
    type: RTM.DELROUTE,
    flags: 0,
    get what() {
      return `delete route ${routeText(spec)}`;
    },
    write: (out) =>
      writeRoute(out, spec, {
        family: familyOfSpec(spec),
        protocol: spec.protocol,
        scope: spec.scope ?? RT_SCOPE.NOWHERE,
        type: spec.type,
      }),
  };
}

function writeRoute(out: ByteWriter, spec: RouteSpec, header: Header): void {
  const { dst, gateway, link, source, priority, metrics, multipath } = spec;
  const table = spec.table ?? defaultTable(spec.type);
  const network = 'default' in dst ? undefined : dst;
  const sameFamily = gateway === undefined || gateway.family === header.family;
  writeHeader(out, { ...header, length: network?.length ?? 0, table });
  routeTable.write(out, {
    dst: network === undefined || network.length === 0 ? undefined : network.ip,
    link,
    gateway: sameFamily ? gateway : undefined,
    priority,
    source,
    metrics,
    multipath,
    table: table > 255 ? table : undefined,
    via: sameFamily ? undefined : gateway,
  });
}

/** RTM_GETROUTE as a dump; the kernel filters by table, link and protocol. */
export function dumpRoutes(filter: RouteFilter): NetlinkRequest {
  const { family, table = 0, link, protocol } = filter;
  return {
    type: RTM.GETROUTE,
    flags: 0,
    what: `read ${family} routes`,
    write(out) {
      writeHeader(out, { family, table, protocol });
      routeTable.write(out, { link, table: table > 255 ? table : undefined });
    },
  };
}

/** What the kernel is asked besides the destination. */
export interface RouteQuestion {
  readonly from?: Ip | undefined;
  /** Index of the link that it is to leave by. */
  readonly link?: number | undefined;
  /** Index of the link that it has come in by: the kernel answers as for a packet to be forwarded, its checks included. */
  readonly in?: number | undefined;
  readonly mark?: number | undefined;
  /** The table's own entry as the answer, with its whole destination, not one made for this address. Since Linux 4.13. */
  readonly entry?: boolean | undefined;
}

/** RTM_GETROUTE of the route that a packet to `ip` would take. */
export function lookUpRoute(ip: Ip, options: RouteQuestion = {}): NetlinkRequest {
  const { from, link, mark } = options;
  return {
    type: RTM.GETROUTE,
    flags: 0,
    get what() {
      return `look up the route to ${ip}`;
    },
    write(out) {
      const { family, bits } = ip;
      // IPv6 always tells the table and refuses to be asked for it.
      const table = family === 'ipv4' ? RTM_F.LOOKUP_TABLE : 0;
      const flags = table | (options.entry === true ? RTM_F.FIB_MATCH : 0);
      writeHeader(out, { family, length: bits, sourceLength: from?.bits ?? 0, flags });
      routeTable.write(out, { dst: ip, src: from, link, in: options.in, mark });
    },
  };
}

const TYPE_NAMES = Object.entries(RTN);

/** As `ip route` would have it, e.g. `10.244.2.0/24 via 10.244.2.0 dev 7 onlink`. */
export function routeText(spec: RouteSpec): string {
  const { dst, gateway, link, type, table } = spec;
  const words: string[] = [];
  const typeName = TYPE_NAMES.find(([, value]) => value === type)?.[0].toLowerCase();
  if (typeName !== undefined && type !== RTN.UNICAST) words.push(typeName);
  words.push('default' in dst ? `default (${dst.default})` : dst.toString());
  if (gateway !== undefined) words.push(`via ${gateway}`);
  if (link !== undefined) words.push(`dev ${link}`);
  if (table !== undefined && table !== RT_TABLE.MAIN) words.push(`table ${table}`);
  if (spec.onlink === true) words.push('onlink');
  return words.join(' ');
}
