import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import {
  attributeTable,
  bareText,
  be16,
  be32,
  be64,
  bool8,
  flag,
  i32,
  ip,
  listOf,
  mac,
  raw,
  text,
  u16,
  u32,
  u64,
  u8,
  type Codec,
} from './attribute.ts';

const START = { path: 'test', offset: 0 };

function encode<T>(codec: Codec<T>, value: T): string {
  const out = new ByteWriter();
  codec.write(out, value);
  return out.copy().toHex();
}

function decode<T>(codec: Codec<T>, hex: string): T {
  return codec.read(Uint8Array.fromHex(hex), START);
}

const inner = attributeTable('inner', { small: [1, u8], deep: [2, be16] });
const table = attributeTable('outer', {
  number: [1, u32],
  name: [2, text],
  inner: [3, inner],
  present: [4, flag],
  address: [5, ip],
  list: [6, listOf(inner, 1)],
});

/** Hex digits, grouped by blanks to be read. */
const group = (text: string) => text.replaceAll(' ', '');

describe('codecs', () => {
  test.each([
    ['u8', u8, 255, 'ff'],
    ['u16', u16, 0x0102, '0201'],
    ['u32', u32, 0xfffefdfc, 'fcfdfeff'],
    ['i32', i32, -2, 'feffffff'],
    ['be16', be16, 0x0102, '0102'],
    ['be32', be32, 0x01020304, '01020304'],
  ] as const)('%s', (_name, codec, value, hex) => {
    expect(encode(codec, value)).toBe(hex);
    expect(decode(codec, hex)).toBe(value);
    expect(() => decode(codec, hex.slice(2))).toThrow(DecodeError);
  });

  test('64 bits', () => {
    expect(encode(u64, 1n)).toBe('0100000000000000');
    expect(decode(u64, '0100000000000000')).toBe(1n);
    expect(encode(be64, 1n)).toBe('0000000000000001');
    expect(decode(be64, '0000000000000001')).toBe(1n);
    expect(() => decode(u64, '01')).toThrow('test at byte 0: 1 bytes where 8 are needed');
  });

  test('text ends at its NUL, or at the end', () => {
    expect(encode(text, 'lo')).toBe('6c6f00');
    expect(decode(text, '6c6f00ffff')).toBe('lo');
    expect(decode(text, '6c6f')).toBe('lo');
    expect(encode(bareText, 'lo')).toBe('6c6f');
    expect(encode(bareText, '')).toBe('');
    expect(decode(bareText, '6c6f')).toBe('lo');
  });

  test('addresses: exact lengths alone', () => {
    expect(encode(ip, Ip.parse('192.0.2.1'))).toBe('c0000201');
    expect(String(decode(ip, '20010db8000000000000000000000001'))).toBe('2001:db8::1');
    expect(() => decode(ip, 'c00002')).toThrow('an address of 3 bytes');
    expect(encode(mac, Mac.parse('02:00:00:00:00:01'))).toBe('020000000001');
    expect(() => decode(mac, '02')).toThrow('a hardware address of 1 bytes');
  });

  test('flags and bytes', () => {
    expect(decode(bool8, '00')).toBe(false);
    expect(decode(bool8, '02')).toBe(true);
    expect(encode(bool8, true)).toBe('01');
    expect(encode(flag, true)).toBe('');
    expect(encode(raw, Uint8Array.of(1, 2))).toBe('0102');
  });
});

describe('tables', () => {
  test('lengths without padding, padding to four, nested ones marked', () => {
    const hex = encode(table, { number: 1, name: 'a', inner: { small: 7 }, present: true });
    expect(hex).toBe(group('0800010001000000 060002006100 0000 0c000380 0500010007000000 04000400'));
    expect(decode(table, hex)).toEqual({ number: 1, name: 'a', inner: { small: 7 }, present: true });
  });

  test('undefined is left out', () => {
    expect(encode(table, { number: undefined, name: 'a' })).toBe('0600020061000000');
    expect(decode(table, '')).toEqual({});
  });

  test('lists', () => {
    const hex = encode(table, { list: [{ small: 1 }, { deep: 2 }] });
    expect(decode(table, hex)).toEqual({ list: [{ small: 1 }, { deep: 2 }] });
  });

  test('what is unknown is kept and written again, or dropped', () => {
    const hex = group('0800010001000000 0500630009000000');
    const values = decode(table, hex);
    expect(values).toEqual({ number: 1, unknown: [{ type: 0x63, payload: Uint8Array.of(9) }] });
    expect(encode(table, values)).toBe(hex);
    const dropping = attributeTable('dropping', { number: [1, u32] }, 'drop');
    expect(decode(dropping, hex)).toEqual({ number: 1 });
  });

  test('an unknown attribute does not share memory with the receive buffer', () => {
    const bytes = Uint8Array.fromHex('0500630009000000');
    const values = table.read(bytes, START);
    bytes.fill(0xff);
    expect(values.unknown).toEqual([{ type: 0x63, payload: Uint8Array.of(9) }]);
  });

  test('the nested flag and the last of duplicates', () => {
    expect(decode(table, group('0800018001000000 0800010002000000'))).toEqual({ number: 2 });
  });

  test.each([
    ['shorter than its header', '03000100'],
    ['longer than its parent', '0900010001000000'],
    ['of length zero', '0000010001000000'],
  ])('an attribute %s', (_case, hex) => {
    expect(() => decode(table, hex)).toThrow(
      /^test\.outer at byte 0: attribute length \d leads outside its parent$/,
    );
  });

  test('errors name path and offset from the start of the message', () => {
    const hex = group('0800010001000000 0c000380 06000200 01000000');
    const bytes = Uint8Array.fromHex(`${hex.slice(0, 24)}05000200${hex.slice(32)}`);
    expect(() => table.read(bytes, { path: 'link', offset: 16 })).toThrow(
      'link.outer.inner.inner.deep at byte 32: 1 bytes where 2 are needed',
    );
  });

  test('round trip of anything the table can say', () => {
    const value = fc.record(
      {
        number: fc.nat({ max: 0xffffffff }),
        name: fc.string({ unit: 'grapheme' }).filter((name) => !name.includes('\0')),
        inner: fc.record({ small: fc.nat({ max: 255 }), deep: fc.nat({ max: 65535 }) }, { requiredKeys: [] }),
        present: fc.constant<true>(true),
      },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(value, (each) => expect(decode(table, encode(table, each))).toEqual(each)));
  });

  test('hostile bytes are decoded or refused, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          table.read(bytes, START);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
