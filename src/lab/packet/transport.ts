import type { Reader } from './reader.ts';

/** UDP header (RFC 768). */
export interface Udp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** The flags of a TCP header (RFC 9293), in wire order from the lowest bit. */
const TCP_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'] as const;

export interface Tcp {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly flags: readonly string[];
  readonly payload: Uint8Array;
}

/** ICMP (RFC 792) or ICMPv6 (RFC 4443); identifier and sequence only mean something in an echo. */
export interface Icmp {
  readonly type: number;
  readonly code: number;
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

export function readUdp(reader: Reader): Udp {
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const length = reader.u16();
  if (length < 8) throw reader.fail(`length ${length} is below its header`);
  reader.skip(2);
  return { sourcePort, destinationPort, payload: reader.rest(length - 8) };
}

export function readTcp(reader: Reader): Tcp {
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const sequence = reader.u32();
  reader.skip(4);
  const headerLength = (reader.u8() >> 4) * 4;
  const bits = reader.u8();
  if (headerLength < 20) throw reader.fail(`header length ${headerLength} is below 20`);
  reader.skip(headerLength - 14);
  const flags = TCP_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0);
  return { sourcePort, destinationPort, sequence, flags, payload: reader.rest() };
}

export function readIcmp(reader: Reader): Icmp {
  const type = reader.u8();
  const code = reader.u8();
  reader.skip(2);
  const identifier = reader.u16();
  const sequence = reader.u16();
  return { type, code, identifier, sequence, payload: reader.rest() };
}
