import { NETLINK, NetlinkConnection } from '#netlink/connection.ts';
import type { Host } from './plugin.ts';

/**
 * A netfilter connection for all that one call does. It stays open: closing it waits for the kernel to free what has been
 * deleted, which goes on while the rest of the call is done.
 */
export function openNetfilter(host: Pick<Host, 'untilExit'>): NetlinkConnection {
  return host.untilExit(NetlinkConnection.open(NETLINK.NETFILTER));
}
