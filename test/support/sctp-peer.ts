import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import { Netns, withNetns } from '#ffi/netns.ts';
import { Ip } from '#net/ip.ts';

const IPPROTO_SCTP = 132;
/** RFC 9260, sections 3.3.2 and 3.3.3. */
const CHUNK = { INIT: 1, INIT_ACK: 2 } as const;
/** Longest wait for a packet, ms. */
const WAIT = 1500;

export interface SctpPacket {
  /** The address that it came from. */
  readonly from: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly chunk: keyof typeof CHUNK;
}

/**
 * One end of SCTP by a raw socket, for a kernel without SCTP of its own: connection tracking and NAT see true packets, with
 * checksums, and no association is needed to see where they go.
 */
export class SctpPeer implements Disposable {
  readonly #socket: Socket;
  readonly #version: 4 | 6;

  /** `netns`: path; undefined: the namespace of this thread. */
  constructor(version: 4 | 6, netns?: string) {
    this.#version = version;
    const open = () => Socket.open(version === 4 ? AF.INET : AF.INET6, SOCK.RAW, IPPROTO_SCTP);
    if (netns === undefined) this.#socket = open();
    else {
      using other = Netns.open(netns);
      this.#socket = withNetns(other, open);
    }
    this.#socket.setTimeout(WAIT);
  }

  send(to: string, packet: Omit<SctpPacket, 'from'>): void {
    this.#socket.sendTo(encode(packet), socketAddress(Ip.parse(to)));
  }

  /** The next packet to `port`, other ones are passed over; undefined when none comes in time. */
  receive(port: number): SctpPacket | undefined {
    const buffer = new Uint8Array(2048);
    const address = new Uint8Array(28);
    const end = performance.now() + WAIT;
    while (performance.now() < end) {
      const received = this.#socket.receiveFrom(buffer, MSG.TRUNC, address);
      if ('errno' in received) return undefined;
      const bytes = buffer.subarray(0, received.length);
      // An IPv4 raw socket hands over the header, an IPv6 one does not.
      const payload = this.#version === 4 ? bytes.subarray(((bytes[0] ?? 0) & 15) * 4) : bytes;
      const from = Ip.fromBytes(this.#version === 4 ? address.slice(4, 8) : address.slice(8, 24));
      const packet = decode(payload, from.toString());
      if (packet.destinationPort === port) return packet;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** `struct sockaddr_in` or `sockaddr_in6`, port 0. */
function socketAddress(ip: Ip): Uint8Array {
  const bytes = new Uint8Array(ip.family === 'ipv4' ? 16 : 28);
  new DataView(bytes.buffer).setUint16(0, ip.family === 'ipv4' ? AF.INET : AF.INET6, true);
  bytes.set(ip.toBytes(), ip.family === 'ipv4' ? 4 : 8);
  return bytes;
}

/** Common header and one chunk of fixed content (RFC 9260, section 3.1). */
function encode({ sourcePort, destinationPort, chunk }: Omit<SctpPacket, 'from'>): Uint8Array {
  const bytes = new Uint8Array(12 + 20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  // The packet of an INIT has tag 0, an answer has that of the INIT.
  view.setUint32(4, chunk === 'INIT' ? 0 : INITIATE_TAG);
  view.setUint8(12, CHUNK[chunk]);
  view.setUint16(14, 20);
  view.setUint32(16, INITIATE_TAG);
  view.setUint32(20, 65_536);
  view.setUint16(24, 1);
  view.setUint16(26, 1);
  view.setUint32(28, 1);
  view.setUint32(8, crc32c(bytes), true);
  return bytes;
}

const INITIATE_TAG = 0x11223344;

function decode(bytes: Uint8Array, from: string): SctpPacket {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunk = view.getUint8(12) === CHUNK.INIT ? 'INIT' : 'INIT_ACK';
  const said = view.getUint32(8, true);
  view.setUint32(8, 0);
  if (crc32c(bytes) !== said) throw new Error(`SCTP packet from ${from} with a wrong checksum`);
  return { from, sourcePort: view.getUint16(0), destinationPort: view.getUint16(2), chunk };
}

/** RFC 9260, appendix A. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return ~crc >>> 0;
}
