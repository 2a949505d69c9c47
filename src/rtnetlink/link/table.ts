import { readU64 } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { attributeTable, bareText, i32, text, u32, u8, type Codec } from '#netlink/attribute.ts';
import { hardwareAddress } from './hardware-address.ts';
import { linkInfo } from './kind.ts';

/** Counters of a link. */
export interface LinkStats {
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  /** Packets that it had no room for or could not pass on, both ways. */
  readonly dropped?: bigint;
}

/** Of `struct rtnl_link_stats64`: its first four, its seventh and eighth. */
const stats: Codec<LinkStats> = {
  write: (out, value) => {
    out.u64(value.rxPackets).u64(value.txPackets).u64(value.rxBytes).u64(value.txBytes);
  },
  read(bytes, at) {
    if (bytes.length < 32) throw new DecodeError(at.path, at.offset, `statistics of ${bytes.length} bytes`);
    return {
      rxPackets: readU64(bytes, 0),
      txPackets: readU64(bytes, 8),
      rxBytes: readU64(bytes, 16),
      txBytes: readU64(bytes, 24),
      ...(bytes.length < 64 ? {} : { dropped: readU64(bytes, 48) + readU64(bytes, 56) }),
    };
  },
};

/** IFLA_AF_SPEC: one block per address family, by its AF number (`linux/if_link.h` IFLA_INET6_*). */
export const inet6Table = attributeTable('inet6', { addrGenMode: [8, u8] }, 'drop');
const familyTable = attributeTable('families', { inet6: [10, inet6Table] }, 'drop');

/** `linux/if_link.h` IFLA_*. */
export const linkTable = attributeTable(
  'link',
  {
    mac: [1, hardwareAddress],
    name: [3, text],
    mtu: [4, u32],
    parent: [5, u32],
    master: [10, u32],
    txQueueLength: [13, u32],
    operState: [16, u8],
    info: [18, linkInfo],
    // An alias of no length takes the old one away.
    alias: [20, bareText],
    stats: [23, stats],
    families: [26, familyTable],
    netnsFd: [28, u32],
    extMask: [29, u32],
    promiscuity: [30, u32],
    parentNetnsid: [37, i32],
    event: [44, u32],
    alternativeName: [53, text],
  },
  'drop',
);
