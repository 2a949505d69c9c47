import { ErrnoError } from '#base/errors.ts';
import type { Ip } from '#net/ip.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { Route } from '#rtnetlink/route.ts';

/** What the node would do with a packet to `ip`; undefined when there is no route, or one that forbids. */
export function routeOf(client: Rtnetlink, ip: Ip): Route | undefined {
  try {
    return client.routeTo(ip);
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
}
