import { Ip } from '#net/ip.ts';
import type { Reader } from './reader.ts';

/** `linux/in.h`: the protocol numbers that the lab reads on. */
export const IPPROTO = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** What the lab shows of an IPv4 (RFC 791) or IPv6 (RFC 8200) header. */
export interface IpHeader {
  readonly source: Ip;
  readonly destination: Ip;
  /** TTL or hop limit. */
  readonly ttl: number;
  readonly protocol: number;
  /** Fragment offset in bytes; above 0 no transport header follows. */
  readonly fragmentOffset: number;
  /** Whole datagram, header included, in bytes. */
  readonly length: number;
  readonly payload: Uint8Array;
}

export function readIpv4(reader: Reader): IpHeader {
  const first = reader.u8();
  if (first >> 4 !== 4) throw reader.fail(`version ${first >> 4} is not 4`);
  const headerLength = (first & 15) * 4;
  if (headerLength < 20) throw reader.fail(`header length ${headerLength} is below 20`);
  reader.skip(1);
  const length = reader.u16();
  if (length < headerLength) throw reader.fail(`total length ${length} is below its header`);
  reader.skip(2);
  const fragment = reader.u16();
  const ttl = reader.u8();
  const protocol = reader.u8();
  reader.skip(2);
  const source = Ip.fromBytes(reader.bytes(4));
  const destination = Ip.fromBytes(reader.bytes(4));
  reader.skip(headerLength - 20);
  const payload = reader.rest(length - headerLength);
  return { source, destination, ttl, protocol, fragmentOffset: (fragment & 0x1fff) * 8, length, payload };
}

/** Extension headers with a length of their own: hop-by-hop, routing, destination options (RFC 8200 section 4). */
const EXTENSIONS = new Set([0, 43, 60]);
const FRAGMENT = 44;

export function readIpv6(reader: Reader): IpHeader {
  const first = reader.u32();
  if (first >>> 28 !== 6) throw reader.fail(`version ${first >>> 28} is not 6`);
  const payloadLength = reader.u16();
  let protocol = reader.u8();
  const ttl = reader.u8();
  const source = Ip.fromBytes(reader.bytes(16));
  const destination = Ip.fromBytes(reader.bytes(16));
  const end = reader.offset + payloadLength;
  let fragmentOffset = 0;
  while (EXTENSIONS.has(protocol) || protocol === FRAGMENT) {
    const next = reader.u8();
    const size = reader.u8();
    if (protocol === FRAGMENT) {
      fragmentOffset = reader.u16() & 0xfff8;
      reader.skip(4);
    } else reader.skip(size * 8 + 6);
    protocol = next;
    if (fragmentOffset > 0) break;
  }
  const payload = reader.rest(end - reader.offset);
  return { source, destination, ttl, protocol, fragmentOffset, length: payloadLength + 40, payload };
}
