import { ByteWriter, readBe16, readBe32 } from '#base/bytes.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';

/** Types and codes of RFC 792 and RFC 4443. */
const TYPE = {
  ipv4: { request: 8, reply: 0, unreachable: 3 },
  ipv6: { request: 128, reply: 129, unreachable: 1, tooBig: 2 },
} as const;
const FRAGMENTATION_NEEDED = 4;
const PORT_UNREACHABLE: Readonly<Record<Family, number>> = { ipv4: 3, ipv6: 4 };

/** Header of an echo message. */
const ECHO_HEADER = 8;
/** Without options or extension headers. */
export const IP_HEADER: Readonly<Record<Family, number>> = { ipv4: 20, ipv6: 40 };

/** Whom an echo or its error belongs to. */
export interface EchoId {
  readonly id: number;
  readonly sequence: number;
}

/** The packet that an error quotes: its destination and the first eight bytes behind its IP header. */
export interface Quoted {
  readonly to: Ip;
  readonly protocol: number;
  readonly bytes: Uint8Array;
}

export type IcmpMessage =
  | ({ readonly type: 'reply' } & EchoId)
  /** `mtu`: of the link where it was too long, bytes; 0 when the router does not say. */
  | { readonly type: 'too-big'; readonly mtu: number; readonly quoted: Quoted }
  | { readonly type: 'unreachable'; readonly port: boolean; readonly quoted: Quoted };

/** An echo request whose IP packet is `length` bytes long, at least the two headers. Checksum: that of IPv6 is the kernel's work. */
export function echoRequest(family: Family, { id, sequence }: EchoId, length: number): Uint8Array {
  const size = Math.max(ECHO_HEADER, length - IP_HEADER[family]);
  const bytes = new ByteWriter(size).u8(TYPE[family].request).u8(0).be16(0).be16(id).be16(sequence).copy();
  const message = new Uint8Array(size);
  message.set(bytes);
  if (family === 'ipv4') new DataView(message.buffer).setUint16(2, internetChecksum(message));
  return message;
}

/** What a raw ICMP socket received: with the IP header in IPv4, without it in IPv6. Undefined for everything else. */
export function parseIcmp(family: Family, packet: Uint8Array): IcmpMessage | undefined {
  const bytes = family === 'ipv4' ? packet.subarray(((packet[0] ?? 0) & 0x0f) * 4) : packet;
  if (bytes.length < ECHO_HEADER) return undefined;
  const [type, code] = bytes;
  if (type === TYPE[family].reply)
    return { type: 'reply', id: readBe16(bytes, 4), sequence: readBe16(bytes, 6) };
  const quoted = parseQuoted(family, bytes.subarray(ECHO_HEADER));
  if (quoted === undefined) return undefined;
  if (family === 'ipv6' && type === TYPE.ipv6.tooBig)
    return { type: 'too-big', mtu: readBe32(bytes, 4), quoted };
  if (type !== TYPE[family].unreachable) return undefined;
  if (family === 'ipv4' && code === FRAGMENTATION_NEEDED)
    return { type: 'too-big', mtu: readBe16(bytes, 6), quoted };
  return { type: 'unreachable', port: code === PORT_UNREACHABLE[family], quoted };
}

function parseQuoted(family: Family, bytes: Uint8Array): Quoted | undefined {
  const header = family === 'ipv4' ? ((bytes[0] ?? 0) & 0x0f) * 4 : IP_HEADER.ipv6;
  if (bytes.length < header + 8 || header < IP_HEADER[family]) return undefined;
  const [at, length, protocol] = family === 'ipv4' ? ([16, 4, 9] as const) : ([24, 16, 6] as const);
  return {
    to: Ip.fromBytes(bytes.subarray(at, at + length)),
    protocol: bytes[protocol] ?? 0,
    bytes: bytes.slice(header, header + 8),
  };
}

/** The echo that an error quotes; undefined when it quotes something else. */
export function quotedEcho(family: Family, { bytes }: Quoted): EchoId | undefined {
  if (bytes[0] !== TYPE[family].request) return undefined;
  return { id: readBe16(bytes, 4), sequence: readBe16(bytes, 6) };
}

/** RFC 1071: the ones' complement of the sum of all 16-bit words. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const bytes of parts) {
    for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}
