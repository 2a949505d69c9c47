import { errnoName, ErrnoError, hasErrno, type ErrnoName } from '#base/errors.ts';
import { readSysctl } from '#host/sysctl.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { NUD, RT_TABLE, RTN } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Neighbour } from '#rtnetlink/neighbour.ts';
import type { Route } from '#rtnetlink/route.ts';
import type { RouteQuestion } from '#rtnetlink/route/request.ts';

/** The kernel says no: which of its errors, e.g. `ENETUNREACH`. */
export interface NoRoute {
  readonly refused: string;
}

/** What a walk asks the kernel of one network namespace. Nothing is written. */
export interface WalkKernel {
  link(index: number | undefined): Link | undefined;
  named(name: string): Link | undefined;
  addresses(link: number): readonly Cidr[];
  lookUp(to: Ip, question: RouteQuestion): Route | NoRoute;
  /** The entry of the table that `lookUp` found, as far as the kernel says it. */
  entry(to: Ip, question: RouteQuestion): Route | undefined;
  /** The blackhole, unreachable or prohibit route that a packet to `ip` meets first. */
  blocking(ip: Ip): Route | undefined;
  neighbour(link: number, ip: Ip): Neighbour | undefined;
  /** Where a VXLAN device sends frames for `mac`; the all-zero MAC is for all others. */
  tunnelEnds(link: number, mac: Mac): readonly Ip[];
  /** Index of the bridge's port behind which `mac` is. */
  portOf(bridge: number, mac: Mac): number | undefined;
  /** Whether packets of others are forwarded. */
  forwards(family: Family): boolean;
}

const BLOCKING: ReadonlySet<number> = new Set([RTN.BLACKHOLE, RTN.UNREACHABLE, RTN.PROHIBIT, RTN.THROW]);

/** A route that leads nowhere. */
export function isBlocking({ type }: Route): boolean {
  return BLOCKING.has(type);
}

/** A neighbour that frames can be sent to. */
export function isUsable({ mac, state }: Neighbour): boolean {
  return mac !== undefined && (state & (NUD.FAILED | NUD.INCOMPLETE)) === 0;
}

/** The answers that mean "not there", not "I cannot say". */
const REFUSALS = [
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EINVAL',
  'EACCES',
  'EXDEV',
  'ENODEV',
] as const satisfies ErrnoName[];

/** Asks the namespace that `net` was opened in; sysctls are those of this thread's namespace. */
export function walkKernel(net: Rtnetlink): WalkKernel {
  const links = net.links();
  return {
    link: (index) => links.find((link) => link.index === index),
    named: (name) => links.find((link) => link.name === name),
    addresses: (link) => net.addresses({ link }).map(({ cidr }) => cidr),
    lookUp: (to, question) => ask(net, to, question),
    entry(to, question) {
      const answer = ask(net, to, { ...question, entry: true });
      return 'refused' in answer ? undefined : answer;
    },
    blocking: (ip) =>
      net
        .routes({ family: ip.family, table: RT_TABLE.MAIN })
        .filter((route) => isBlocking(route) && (route.dst === undefined || route.dst.contains(ip)))
        .toSorted((a, b) => (b.dst?.length ?? 0) - (a.dst?.length ?? 0))[0],
    neighbour: (link, ip) => net.neighbours({ link, family: ip.family }).find((entry) => entry.ip.equals(ip)),
    tunnelEnds: (link, mac) =>
      net.fdb({ link }).flatMap((entry) => (entry.mac.equals(mac) ? (entry.dst ?? []) : [])),
    portOf: (bridge, mac) => net.bridgeFdb(bridge).find((entry) => entry.mac.equals(mac))?.link,
    forwards: (family) =>
      readSysctl(family === 'ipv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding') !== '0',
  };
}

function ask(net: Rtnetlink, to: Ip, question: RouteQuestion): Route | NoRoute {
  try {
    return net.routeTo(to, question);
  } catch (error) {
    if (error instanceof ErrnoError && REFUSALS.some((name) => hasErrno(error, name)))
      return { refused: errnoName(error.errno) };
    throw error;
  }
}
