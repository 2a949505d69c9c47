import { describe, isNotFound } from '#base/errors.ts';
import { Conntrack } from '#conntrack/connection.ts';
import { IPPROTO, type ConntrackEntry } from '#conntrack/entry.ts';
import { tryReadText } from '#ffi/file-system.ts';
import { FAMILIES } from '#net/family.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import type { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Host } from '../plugin.ts';
import { onlyHostIp } from './config.ts';
import { routeOf } from './route.ts';
import { mappingsFor, targetsOf, type Forwarding, type LostMapping } from './forwarding.ts';

/** RTN_LOCAL (`linux/rtnetlink.h`). */
const RTN_LOCAL = 2;
/** Entries that are read in less time than the kernel takes for another walk. */
const SHORT = 1000;

/**
 * Forgets the flows that would go on past the rules as they are now: the kernel translates a flow's first packet alone.
 * They are those to the mapped ports that were there before, and those that went through rules that are gone, to an
 * address that is nobody's now. Flows to other machines are left alone. TCP has a first packet for every connection.
 */
export function flushStale(
  { forwarding, lost }: { readonly forwarding?: Forwarding; readonly lost: readonly LostMapping[] },
  connection: NetlinkConnection,
  host: Host,
): void {
  const added = forwarding === undefined ? [] : addedPlaces(forwarding);
  const gone = lost.filter(({ protocol }) => protocol !== 'tcp');
  if (added.length === 0 && gone.length === 0) return;
  informative(host, () => {
    const count = Number.parseInt(tryReadText('/proc/sys/net/netfilter/nf_conntrack_count') ?? '', 10);
    if (count === 0) return;
    const table = Conntrack.over(connection);
    using client = Rtnetlink.open();
    const isLocal = localAddresses(client);
    const entries = count < SHORT ? table.all() : candidates(table, [...added, ...gone]);
    const stale = entries.filter(
      (entry) =>
        gone.some((place) => wentThrough(entry, place)) ||
        added.some((place) => goesPast(entry, place) && isLocal(entry.original.destination)),
    );
    table.delete(stale);
  });
}

/**
 * Entries, those to the places among them, with as few questions as can be: the kernel walks through its whole table for
 * each.
 */
function candidates(table: Conntrack, places: readonly LostMapping[]): readonly ConntrackEntry[] {
  return FAMILIES.flatMap((family) =>
    (['udp', 'sctp'] as const).flatMap((protocol) => {
      const own = places.filter((place) => place.protocol === protocol && place.target.family === family);
      const [port, ...others] = new Set(own.map(({ hostPort }) => hostPort));
      if (port === undefined) return [];
      return table.list({ family, protocol, destinationPort: others.length === 0 ? port : undefined });
    }),
  );
}

/** A place on the node that now leads to `target`. */
interface AddedPlace extends LostMapping {
  readonly containerPort: number;
}

function addedPlaces(forwarding: Forwarding): readonly AddedPlace[] {
  return targetsOf(forwarding).flatMap(({ ip, family }) =>
    mappingsFor(forwarding.config, family)
      .filter(({ protocol }) => protocol !== 'tcp')
      .map((mapping) => ({ ...mapping, hostIp: onlyHostIp(mapping), target: ip })),
  );
}

function isTo({ family, original }: ConntrackEntry, { protocol, hostPort, target }: LostMapping): boolean {
  if (family !== target.family || original.protocol !== IPPROTO[protocol]) return false;
  return original.destinationPort === hostPort;
}

function goesPast(entry: ConntrackEntry, place: AddedPlace): boolean {
  const { original, reply } = entry;
  if (!isTo(entry, place)) return false;
  if (place.hostIp?.equals(original.destination) === false) return false;
  return !reply.source.equals(place.target) || reply.sourcePort !== place.containerPort;
}

function wentThrough(entry: ConntrackEntry, place: LostMapping): boolean {
  return isTo(entry, place) && entry.reply.source.equals(place.target);
}

/** Asks the routing table, as `fib daddr type local` does, once per address. */
function localAddresses(client: Rtnetlink): (ip: Ip) => boolean {
  const known = new Map<string, boolean>();
  return (ip) => {
    const key = ip.toString();
    let local = known.get(key);
    if (local === undefined) {
      local = routeOf(client, ip)?.type === RTN_LOCAL;
      known.set(key, local);
    }
    return local;
  };
}

/** The rules stand; old flows run out by themselves sooner or later. */
function informative(host: Host, flush: () => void): void {
  try {
    flush();
  } catch (error) {
    if (!isNotFound(error)) host.warn(`portmap: stale connections were not flushed: ${describe(error)}`);
  }
}
