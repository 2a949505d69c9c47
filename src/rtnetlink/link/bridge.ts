import {
  attributeTable,
  be16,
  bool8,
  u16,
  u32,
  type AttributeValues,
  type Codec,
} from '#netlink/attribute.ts';

/** `linux/if_link.h` IFLA_BR_*. Times in 1/100 s. The rest (timers that tick among it) is not kept. */
export const bridgeTable = attributeTable(
  'bridge',
  {
    forwardDelay: [1, u32],
    helloTime: [2, u32],
    maxAge: [3, u32],
    ageingTime: [4, u32],
    stpState: [5, u32],
    priority: [6, u16],
    vlanFiltering: [7, bool8],
    vlanProtocol: [8, be16],
    groupForwardMask: [9, u16],
    multicastSnooping: [23, bool8],
    nfCallIptables: [36, bool8],
    nfCallIp6tables: [37, bool8],
    nfCallArptables: [38, bool8],
    vlanDefaultPvid: [39, u16],
  },
  'drop',
);

/** A bridge; every option is undefined when not given (writing) or not known to the kernel (reading). */
export interface BridgeLink extends AttributeValues<(typeof bridgeTable)['fields']> {
  readonly type: 'bridge';
}

export const bridgeKind: Codec<BridgeLink> = {
  nested: true,
  write: (out, kind) => bridgeTable.write(out, kind),
  read: (bytes, at) => ({ type: 'bridge', ...bridgeTable.read(bytes, at) }),
};
