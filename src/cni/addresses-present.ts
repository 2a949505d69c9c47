import { Netns } from '#ffi/netns.ts';
import type { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { CniArgs } from './environment.ts';

/**
 * True when one of `ips` stands on the container's interface, which means that the ADD that reserved it got that far.
 * Undefined when the namespace cannot be looked into.
 */
export function addressesPresent(args: CniArgs, ips: readonly Ip[]): boolean | undefined {
  try {
    using netns = Netns.open(args.netns);
    using client = Rtnetlink.openIn(netns);
    const link = client.link(args.ifName);
    if (link === undefined) return false;
    return client.addresses({ link: link.index }).some(({ cidr }) => ips.some((ip) => ip.equals(cidr.ip)));
  } catch {
    return undefined;
  }
}
