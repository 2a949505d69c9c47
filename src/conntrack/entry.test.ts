import { describe, expect, test } from 'bun:test';
import { ByteWriter } from '#base/bytes.ts';
import { Ip } from '#net/ip.ts';
import { CT_MSG, deleteEntry, listEntries, readEntry, type ConntrackEntry } from './entry.ts';

// strace -xx conntrack -L: a datagram to 127.0.0.1:5353 that nftables sent on to 127.0.0.2:5300 (conntrack 1.4.7, Linux 6.18)
const TUPLE4 =
  '34000180' +
  '14000180080001007f000001080002007f000001' +
  '1c0002800500010011000000060002009c4100000600030014e90000';
const REPLY4 =
  '34000280' +
  '14000180080001007f000002080002007f000001' +
  '1c00028005000100110000000600020014b40000060003009c410000';
const REST4 = '08000300000001a8080008000000000008000c0010d12ab608000b0000000001080007000000001d';
const DUMPED4 = `02000000${TUPLE4}${REPLY4}${REST4}`;

// strace -xx conntrack -D -f ipv6 -p udp --orig-port-dst 5353: the first attribute of its request
const TUPLE6 =
  '4c000180' +
  '2c00018014000300000000000000000000000000000000011400040000000000000000000000000000000001' +
  '1c0002800500010011000000060002009c4200000600030014e90000';

const four: ConntrackEntry = {
  family: 'ipv4',
  original: {
    source: Ip.parse('127.0.0.1'),
    destination: Ip.parse('127.0.0.1'),
    protocol: 17,
    sourcePort: 40_001,
    destinationPort: 5353,
    zone: undefined,
  },
  reply: {
    source: Ip.parse('127.0.0.2'),
    destination: Ip.parse('127.0.0.1'),
    protocol: 17,
    sourcePort: 5300,
    destinationPort: 40_001,
    zone: undefined,
  },
  zone: 0,
  id: 0x10d12ab6,
};

function read(hex: string, type: number = CT_MSG.NEW) {
  return readEntry({ type, flags: 0, sequence: 1, payload: Uint8Array.fromHex(hex) });
}

function written(request: ReturnType<typeof deleteEntry>): string {
  const out = new ByteWriter();
  request.write(out);
  return out.copy().toHex();
}

describe('entries as the kernel sends them', () => {
  test('both directions of a flow with its destination translated', () => {
    expect(read(DUMPED4)).toEqual(four);
  });

  test('a zone of the entry and of one direction', () => {
    const inTuple = `3c${TUPLE4.slice(2)}0600030000070000`;
    const entry = read(`02000000${inTuple}${REPLY4}0600120000050000`);
    expect(entry?.zone).toBe(5);
    expect(entry?.original.zone).toBe(7);
  });

  test('other messages and families are passed over', () => {
    expect(read(DUMPED4, CT_MSG.DELETE)).toBeUndefined();
    expect(read(`07${DUMPED4.slice(2)}`)).toBeUndefined();
  });

  test.each([
    ['', 'shorter than its family header'],
    ['02000000', 'without its two tuples'],
    [`02000000${TUPLE4}`, 'without its two tuples'],
    ['02000000ff000180', 'leads outside'],
  ])('%j is refused', (hex, message) => {
    expect(() => read(hex)).toThrow(message);
  });
});

describe('requests', () => {
  test('delete names the first tuple as conntrack does, and the entry by its ID', () => {
    expect(written(deleteEntry(four))).toBe(`02000000${TUPLE4}08000c0010d12ab6`);
    const loopback = Ip.parse('::1');
    const tuple = { source: loopback, destination: loopback, protocol: 17 };
    const original = { ...tuple, sourcePort: 40_002, destinationPort: 5353 };
    const six: ConntrackEntry = { family: 'ipv6', original, reply: original, zone: 0, id: undefined };
    expect(written(deleteEntry(six))).toBe(`0a000000${TUPLE6}`);
  });

  test('delete says the zone', () => {
    expect(written(deleteEntry({ ...four, id: undefined, zone: 5 }))).toBe(
      `02000000${TUPLE4}0600120000050000`,
    );
  });

  test('list asks for protocol and port alone', () => {
    const request = listEntries({ family: 'ipv4', protocol: 'udp', destinationPort: 5353 });
    expect(request.type).toBe(0x101);
    // CTA_TUPLE_ORIG with CTA_TUPLE_PROTO, CTA_FILTER with CTA_FILTER_ORIG_FLAGS 0x28
    expect(written(request)).toBe(
      '02000000180001801400028005000100110000000600030014e900000c0019800800010028000000',
    );
    expect(written(listEntries({ family: 'ipv6', protocol: 'sctp' }))).toBe(
      '0a000000100001800c00028005000100840000000c0019800800010008000000',
    );
  });
});
