import { readI32, readU16, type ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { Ip } from '#net/ip.ts';
import { attributeTable, ip, u32, type AttributeValues, type Codec } from '#netlink/attribute.ts';
import { familyNumber, familyOf, RTNH_F } from '../constants.ts';

/** Bytes of `struct rtmsg` (`linux/rtnetlink.h`). */
export const ROUTE_HEADER = 12;

/** `linux/rtnetlink.h` RTAX_*: TCP and IP parameters of a route. */
export const metricsTable = attributeTable(
  'metrics',
  {
    /** Bit mask of metrics that the kernel must not change by itself. */
    lock: [1, u32],
    mtu: [2, u32],
    window: [3, u32],
    advmss: [8, u32],
    hopLimit: [10, u32],
    initialCongestionWindow: [11, u32],
    features: [12, u32],
    rtoMin: [13, u32],
    initialReceiveWindow: [14, u32],
    quickAck: [15, u32],
  },
  'drop',
);

export type RouteMetrics = Omit<AttributeValues<(typeof metricsTable)['fields']>, 'unknown'>;

/** One of several next hops. */
export interface NextHop {
  readonly link: number;
  readonly gateway: Ip | undefined;
  /** 1 to 256. */
  readonly weight: number;
  /** RTNH_F_* */
  readonly flags: number;
  readonly onlink: boolean;
}

/** `struct rtvia`: a gateway of another family. */
const via: Codec<Ip> = {
  write: (out, value) => out.u16(familyNumber(value.family)).bytes(value.toBytes()),
  read(bytes, at) {
    if (bytes.length < 2) throw new DecodeError(at.path, at.offset, 'shorter than its family');
    const address = ip.read(bytes.subarray(2), { path: at.path, offset: at.offset + 2 });
    if (familyOf(readU16(bytes)) !== address.family)
      throw new DecodeError(at.path, at.offset, 'family and length of the address differ');
    return address;
  },
};

const nextHopTable = attributeTable('nextHop', { gateway: [5, ip], via: [18, via] }, 'drop');
/** Bytes of `struct rtnexthop`. */
const NEXT_HOP_HEADER = 8;

/** An array of `struct rtnexthop`, each with attributes of its own. */
const nextHops: Codec<readonly NextHop[]> = {
  write(out, hops) {
    for (const hop of hops) writeNextHop(out, hop);
  },
  read(bytes, at) {
    const hops: NextHop[] = [];
    for (let offset = 0; offset + NEXT_HOP_HEADER <= bytes.length;) {
      const length = readU16(bytes, offset);
      if (length < NEXT_HOP_HEADER || offset + length > bytes.length)
        throw new DecodeError(at.path, at.offset + offset, `next hop length ${length} leads outside`);
      const flags = bytes[offset + 2] ?? 0;
      const inner = offset + NEXT_HOP_HEADER;
      const position = { path: at.path, offset: at.offset + inner };
      const values = nextHopTable.read(bytes.subarray(inner, offset + length), position);
      hops.push({
        link: readI32(bytes, offset + 4),
        gateway: values.gateway ?? values.via,
        weight: (bytes[offset + 3] ?? 0) + 1,
        flags,
        onlink: (flags & RTNH_F.ONLINK) !== 0,
      });
      offset += (length + 3) & ~3;
    }
    return hops;
  },
};

function writeNextHop(out: ByteWriter, hop: NextHop): void {
  const start = out.length;
  const flags = hop.flags | (hop.onlink ? RTNH_F.ONLINK : 0);
  out
    .u16(0)
    .u8(flags)
    .u8(hop.weight - 1)
    .i32(hop.link);
  nextHopTable.write(out, { gateway: hop.gateway });
  out.patchU16(start, out.length - start);
}

/** `linux/rtnetlink.h` RTA_*. */
export const routeTable = attributeTable(
  'route',
  {
    dst: [1, ip],
    src: [2, ip],
    in: [3, u32],
    link: [4, u32],
    gateway: [5, ip],
    priority: [6, u32],
    source: [7, ip],
    metrics: [8, metricsTable],
    multipath: [9, nextHops],
    table: [15, u32],
    mark: [16, u32],
    via: [18, via],
    nextHopId: [30, u32],
  },
  'drop',
);
