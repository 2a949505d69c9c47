import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { IPPROTO, readIpv4, readIpv6, type IpHeader } from './ip.ts';
import { Reader } from './reader.ts';
import { readIcmp, readTcp, readUdp, type Icmp, type Tcp, type Udp } from './transport.ts';

/** `linux/if_ether.h`. */
export const ETH_P = { IPV4: 0x0800, ARP: 0x0806, VLAN: 0x8100, IPV6: 0x86dd } as const;

/** ARP for IPv4 over Ethernet (RFC 826). */
export interface Arp {
  readonly operation: 'request' | 'reply';
  readonly senderMac: Mac;
  readonly senderIp: Ip;
  readonly targetMac: Mac;
  readonly targetIp: Ip;
}

/** VXLAN (RFC 7348): the network identifier and the frame it carries. */
export interface Vxlan {
  readonly vni: number;
  readonly inner: Packet;
}

/** One Ethernet frame, decoded as deep as the lab knows the way. */
export interface Packet {
  readonly source: Mac;
  readonly destination: Mac;
  readonly etherType: number;
  /** 802.1Q VLAN id of a tagged frame. */
  readonly vlan?: number;
  /** Bytes on this device, the Ethernet header included. */
  readonly length: number;
  readonly arp?: Arp;
  readonly ip?: IpHeader;
  readonly udp?: Udp;
  readonly tcp?: Tcp;
  readonly icmp?: Icmp;
  readonly vxlan?: Vxlan;
}

export interface DecodeOptions {
  /** UDP destination port that carries VXLAN, 8472 by default (the kernel's; IANA's is 4789). */
  readonly vxlanPort?: number;
}

/**
 * Decodes a captured frame. Protocols that are not known end the decoding without an error; a header that is cut or
 * contradicts itself throws a DecodeError with protocol and offset.
 */
export function decodePacket(frame: Uint8Array, options: DecodeOptions = {}): Packet {
  const reader = new Reader('ethernet', frame);
  const destination = Mac.fromBytes(reader.bytes(6));
  const source = Mac.fromBytes(reader.bytes(6));
  let etherType = reader.u16();
  let vlan: number | undefined;
  if (etherType === ETH_P.VLAN) {
    vlan = reader.u16() & 0xfff;
    etherType = reader.u16();
  }
  return {
    source,
    destination,
    etherType,
    length: frame.length,
    ...(vlan === undefined ? {} : { vlan }),
    ...decodeNetwork(etherType, reader, options.vxlanPort ?? 8472),
  };
}

function decodeNetwork(etherType: number, ethernet: Reader, vxlanPort: number): Partial<Packet> {
  const next = (path: string) => new Reader(path, ethernet.rest(), ethernet.offset);
  if (etherType === ETH_P.ARP) return readArp(next('arp'));
  if (etherType === ETH_P.IPV4) return decodeTransport(next('ipv4'), readIpv4, vxlanPort);
  if (etherType === ETH_P.IPV6) return decodeTransport(next('ipv6'), readIpv6, vxlanPort);
  return {};
}

function decodeTransport(
  reader: Reader,
  readIp: (reader: Reader) => IpHeader,
  vxlanPort: number,
): Partial<Packet> {
  const ip = readIp(reader);
  if (ip.fragmentOffset > 0) return { ip };
  const next = (path: string) => new Reader(path, ip.payload, reader.offset);
  switch (ip.protocol) {
    case IPPROTO.UDP: {
      const udp = readUdp(next('udp'));
      if (udp.destinationPort !== vxlanPort) return { ip, udp };
      return { ip, udp, vxlan: readVxlan(new Reader('vxlan', udp.payload, reader.offset + 8), vxlanPort) };
    }
    case IPPROTO.TCP:
      return { ip, tcp: readTcp(next('tcp')) };
    case IPPROTO.ICMP:
    case IPPROTO.ICMPV6:
      return { ip, icmp: readIcmp(next('icmp')) };
    default:
      return { ip };
  }
}

/** RFC 7348 section 5: flags with bit I, 24 reserved bits, the VNI in 24 bits, 8 reserved bits. */
function readVxlan(reader: Reader, vxlanPort: number): Vxlan {
  const flags = reader.u8();
  if ((flags & 0x08) === 0) throw reader.fail('flag I is clear: no valid VNI');
  reader.skip(3);
  const vni = reader.u32() >>> 8;
  return { vni, inner: decodePacket(reader.rest(), { vxlanPort }) };
}

function readArp(reader: Reader): Partial<Packet> {
  const hardware = reader.u16();
  const protocol = reader.u16();
  const sizes = reader.u16();
  if (hardware !== 1 || protocol !== ETH_P.IPV4 || sizes !== 0x0604) return {};
  const operation = reader.u16() === 1 ? 'request' : 'reply';
  const senderMac = Mac.fromBytes(reader.bytes(6));
  const senderIp = Ip.fromBytes(reader.bytes(4));
  const targetMac = Mac.fromBytes(reader.bytes(6));
  return { arp: { operation, senderMac, senderIp, targetMac, targetIp: Ip.fromBytes(reader.bytes(4)) } };
}

/** The innermost packet: what VXLAN carries, or the packet itself. */
export function innermost(packet: Packet): Packet {
  return packet.vxlan === undefined ? packet : innermost(packet.vxlan.inner);
}

/** The transport payload (UDP, TCP or ICMP) of the packet itself; empty when there is none. */
export function payloadOf(packet: Packet): Uint8Array {
  return packet.udp?.payload ?? packet.tcp?.payload ?? packet.icmp?.payload ?? new Uint8Array(0);
}
