import { ByteWriter, readBe16 } from '#base/bytes.ts';
import { ErrnoError } from '#base/errors.ts';
import { packSockaddr } from '#ffi/sockaddr.ts';
import { SOCK } from '#ffi/socket.ts';
import type { Ip } from '#net/ip.ts';
import { internetChecksum, parseIcmp } from '#daemon/probe/icmp.ts';
import {
  arrived,
  boundSocket,
  icmpSocket,
  IPPROTO,
  lookUntil,
  type Waiting,
} from '#daemon/probe/raw-socket.ts';

/** Ports that nobody listens on: traceroute's (IANA 33434), which firewalls let pass rather than others. */
const PORT = { offloaded: 33_434, whole: 33_435 } as const;
const UDP_HEADER = 8;
const TEXT = new TextEncoder().encode('flannelctl doctor');

/** Which of two datagrams the other side took: it says of each that nobody listens. */
export interface DatagramOutcome {
  /** The checksum was left to the device, as for every packet of a program. */
  readonly offloaded: boolean;
  /** The checksum was in the packet from the beginning. */
  readonly whole: boolean;
}

/** Sends two datagrams from `from` to closed ports of `to`; undefined when one could not be sent. */
export async function sendDatagrams(
  { from, to }: { readonly from: Ip; readonly to: Ip },
  waiting: Waiting,
): Promise<DatagramOutcome | undefined> {
  const took = new Set<number>();
  try {
    using icmp = icmpSocket(from);
    using plain = boundSocket(from, SOCK.DGRAM, IPPROTO.UDP);
    plain.sendTo(TEXT, packSockaddr(to, { port: PORT.offloaded }));
    using raw = boundSocket(from, SOCK.RAW, IPPROTO.UDP);
    raw.sendTo(udpPacket(from, to, PORT.whole), packSockaddr(to));
    const look = () => {
      for (const packet of arrived(icmp)) {
        const message = parseIcmp(from.family, packet);
        if (message?.type !== 'unreachable' || message.quoted.protocol !== IPPROTO.UDP) continue;
        if (message.quoted.to.equals(to)) took.add(readBe16(message.quoted.bytes, 2));
      }
      return took.has(PORT.offloaded) && took.has(PORT.whole);
    };
    await lookUntil(look, waiting);
  } catch (error) {
    if (error instanceof ErrnoError) return undefined;
    throw error;
  }
  return { offloaded: took.has(PORT.offloaded), whole: took.has(PORT.whole) };
}

/** UDP header with checksum (RFC 768; RFC 8200 section 8.1) and content. */
function udpPacket(from: Ip, to: Ip, port: number): Uint8Array {
  const length = UDP_HEADER + TEXT.length;
  const header = (checksum: number) =>
    new ByteWriter(length).be16(PORT.whole).be16(port).be16(length).be16(checksum).bytes(TEXT).copy();
  const pseudo = new ByteWriter(40)
    .bytes(from.toBytes())
    .bytes(to.toBytes())
    .be32(length)
    .be32(IPPROTO.UDP)
    .copy();
  const sum = internetChecksum(pseudo, header(0));
  return header(sum === 0 ? 0xffff : sum);
}
