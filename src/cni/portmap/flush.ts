import { describe, isNotFound } from '#base/errors.ts';
import { Conntrack } from '#conntrack/connection.ts';
import type { ConntrackEntry } from '#conntrack/entry.ts';
import type { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Host } from '../plugin.ts';
import { onlyHostIp } from './config.ts';
import { routeOf } from './route.ts';
import { mappingsFor, targetsOf, type Forwarding, type LostMapping } from './forwarding.ts';

/** RTN_LOCAL (`linux/rtnetlink.h`). */
const RTN_LOCAL = 2;

/**
 * Forgets the flows to the mapped ports that were there before: the kernel translates a flow's first packet alone, so
 * they would go on past the pod. Flows to other machines are left alone. TCP has a first packet for every connection.
 */
export function flushAdded(forwarding: Forwarding, host: Host): void {
  const wanted = targetsOf(forwarding).flatMap(({ ip, family }) =>
    mappingsFor(forwarding.config, family)
      .filter(({ protocol }) => protocol !== 'tcp')
      .map((mapping) => ({ mapping, ip, family })),
  );
  if (wanted.length === 0) return;
  informative(host, () => {
    using table = Conntrack.open();
    using client = Rtnetlink.open();
    const isLocal = localAddresses(client);
    for (const { mapping, ip, family } of wanted) {
      const { protocol, hostPort, containerPort } = mapping;
      const entries = table.list({ family, protocol, destinationPort: hostPort });
      const stale = entries.filter(({ original, reply }) => {
        if (reply.source.equals(ip) && reply.sourcePort === containerPort) return false;
        const { destination } = original;
        return (onlyHostIp(mapping) ?? destination).equals(destination) && isLocal(destination);
      });
      table.delete(stale);
    }
  });
}

/** Forgets the flows that went through rules that are gone: they would go on to an address that is nobody's now. */
export function flushLost(lost: readonly LostMapping[], host: Host): void {
  const flows = lost.filter(({ protocol }) => protocol !== 'tcp');
  if (flows.length === 0) return;
  informative(host, () => {
    using table = Conntrack.open();
    for (const { protocol, hostPort, target } of flows) {
      const query = { family: target.family, protocol, destinationPort: hostPort };
      table.delete(table.list(query).filter(({ reply }: ConntrackEntry) => reply.source.equals(target)));
    }
  });
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
