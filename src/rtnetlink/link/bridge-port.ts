import { attributeTable, bool8, u16, u32, u8, type AttributeValues } from '#netlink/attribute.ts';

/** `linux/if_link.h` IFLA_BRPORT_*: what a bridge keeps about one of its ports. */
export const bridgePortTable = attributeTable(
  'bridgePort',
  {
    state: [1, u8],
    priority: [2, u16],
    cost: [3, u32],
    hairpin: [4, bool8],
    guard: [5, bool8],
    protect: [6, bool8],
    fastLeave: [7, bool8],
    learning: [8, bool8],
    flood: [9, bool8],
    proxyArp: [10, bool8],
    multicastFlood: [27, bool8],
    vlanTunnel: [29, bool8],
    broadcastFlood: [30, bool8],
    neighbourSuppression: [32, bool8],
    isolated: [33, bool8],
  },
  'drop',
);

/** Options of a bridge port; undefined: not given (writing) or not known to the kernel (reading). */
export type BridgePort = AttributeValues<(typeof bridgePortTable)['fields']>;
