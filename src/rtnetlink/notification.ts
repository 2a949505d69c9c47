import type { NetlinkMessage } from '#netlink/message.ts';
import { readAddress, type Address } from './address.ts';
import { AF, RTM } from './constants.ts';
import { readFdbEntry, type FdbEntry } from './fdb.ts';
import { readLink, type Link } from './link.ts';
import { readNeighbour, type Neighbour } from './neighbour.ts';
import { readRoute, type Route } from './route.ts';

export { RTNLGRP } from './constants.ts';

type Action = 'new' | 'delete';

/** A change that the kernel reports. `new` stands for a change of what was there, too. */
export type RtNotification =
  | { readonly type: 'link'; readonly action: Action; readonly link: Link }
  | { readonly type: 'address'; readonly action: Action; readonly address: Address }
  | { readonly type: 'route'; readonly action: Action; readonly route: Route }
  | { readonly type: 'neighbour'; readonly action: Action; readonly neighbour: Neighbour }
  | { readonly type: 'fdb'; readonly action: Action; readonly entry: FdbEntry };

/** Decodes a message of the groups in RTNLGRP; undefined for messages that say nothing about these objects. */
export function decodeNotification(message: NetlinkMessage): RtNotification | undefined {
  switch (message.type) {
    case RTM.NEWLINK:
    case RTM.DELLINK: {
      // A bridge reports its ports in AF_BRIDGE messages: RTM_DELLINK then means "left the bridge".
      if (message.payload[0] === AF.BRIDGE) return undefined;
      return { type: 'link', action: action(message, RTM.NEWLINK), link: readLink(message) };
    }
    case RTM.NEWADDR:
    case RTM.DELADDR: {
      const address = readAddress(message);
      return address && { type: 'address', action: action(message, RTM.NEWADDR), address };
    }
    case RTM.NEWROUTE:
    case RTM.DELROUTE: {
      const route = readRoute(message);
      return route && { type: 'route', action: action(message, RTM.NEWROUTE), route };
    }
    case RTM.NEWNEIGH:
    case RTM.DELNEIGH: {
      const entry = readFdbEntry(message);
      if (entry !== undefined) return { type: 'fdb', action: action(message, RTM.NEWNEIGH), entry };
      const neighbour = readNeighbour(message);
      return neighbour && { type: 'neighbour', action: action(message, RTM.NEWNEIGH), neighbour };
    }
    default:
      return undefined;
  }
}

function action(message: NetlinkMessage, added: number): Action {
  return message.type === added ? 'new' : 'delete';
}
