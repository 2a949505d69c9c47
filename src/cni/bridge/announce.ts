import { ByteWriter, readBe16 } from '#base/bytes.ts';
import { AF, SOCK, Socket } from '#ffi/socket.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';

const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const BROADCAST = Mac.parse('ff:ff:ff:ff:ff:ff');
const IPPROTO_ICMPV6 = 58;

/** A socket that only sends whole Ethernet frames; open it in the namespace of the link. */
export function openFrameSocket(): Socket {
  // Protocol 0: nothing is received.
  return Socket.open(AF.PACKET, SOCK.RAW, 0);
}

/** Tells the neighbours of a link that `ip` is at `mac` now, so that what they remember of its last owner goes. */
export function announce(socket: Socket, link: number, owner: { readonly mac: Mac; readonly ip: Ip }): void {
  const isV4 = owner.ip.family === 'ipv4';
  const frame = isV4 ? gratuitousArp(owner.mac, owner.ip) : unsolicitedAdvertisement(owner.mac, owner.ip);
  socket.sendTo(frame, linkAddress(link, isV4 ? ETH_P_ARP : ETH_P_IPV6));
}

/** `struct sockaddr_ll` (`linux/if_packet.h`). */
function linkAddress(link: number, protocol: number): Uint8Array {
  return new ByteWriter(20).u16(AF.PACKET).be16(protocol).i32(link).u16(0).u8(0).u8(6).zeros(8).copy();
}

/** ARP announcement (RFC 5227 section 3): a request from `ip` for `ip`, broadcast. */
export function gratuitousArp(mac: Mac, ip: Ip): Uint8Array {
  const out = new ByteWriter(42);
  out.bytes(BROADCAST.toBytes()).bytes(mac.toBytes()).be16(ETH_P_ARP);
  out.be16(1).be16(0x0800).u8(6).u8(4).be16(1);
  return out.bytes(mac.toBytes()).bytes(ip.toBytes()).zeros(6).bytes(ip.toBytes()).copy();
}

/** Unsolicited neighbour advertisement with the override flag (RFC 4861 sections 4.4 and 7.2.6), to all nodes. */
export function unsolicitedAdvertisement(mac: Mac, ip: Ip): Uint8Array {
  const allNodes = Ip.parse('ff02::1');
  const body = new ByteWriter(32).u8(136).u8(0).be16(0).be32(0x2000_0000).bytes(ip.toBytes());
  body.u8(2).u8(1).bytes(mac.toBytes());
  const icmp = body.copy();
  const pseudo = new ByteWriter(72).bytes(ip.toBytes()).bytes(allNodes.toBytes());
  pseudo.be32(icmp.length).be32(IPPROTO_ICMPV6).bytes(icmp);
  new DataView(icmp.buffer).setUint16(2, checksum(pseudo.written()));
  const out = new ByteWriter(86);
  out.bytes(Mac.parse('33:33:00:00:00:01').toBytes()).bytes(mac.toBytes()).be16(ETH_P_IPV6);
  out.be32(0x6000_0000).be16(icmp.length).u8(IPPROTO_ICMPV6).u8(255);
  return out.bytes(ip.toBytes()).bytes(allNodes.toBytes()).bytes(icmp).copy();
}

/** RFC 1071 over an even number of bytes. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += readBe16(bytes, at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
