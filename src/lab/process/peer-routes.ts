import { Cidr } from '#net/cidr.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { RT_TABLE } from '#rtnetlink/constants.ts';
import type { Route } from '#rtnetlink/route.ts';
import { POD_NETWORK } from '../state/address-plan.ts';

/** A node's routes to the pods of other nodes: through the overlay or directly. */
export function peerRoutes(net: Rtnetlink): Route[] {
  const pods = Cidr.parse(POD_NETWORK);
  return net
    .routes({ family: 'ipv4', table: RT_TABLE.MAIN })
    .filter(({ dst, gateway }) => dst !== undefined && gateway !== undefined && pods.contains(dst));
}
