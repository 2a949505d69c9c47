import { describe, expect, test } from 'bun:test';
import {
  ByteWriter,
  readBe16,
  readBe32,
  readBe64,
  readI32,
  readU16,
  readU32,
  readU64,
  sameBytes,
} from './bytes.ts';

/** Hex digits, grouped by blanks to be read. */
const group = (text: string) => text.replaceAll(' ', '');

describe('ByteWriter', () => {
  test('writes host order (little endian here) and network order', () => {
    const out = new ByteWriter();
    out.u8(1).u16(0x0203).u32(0x04050607).be16(0x0203).be32(0x04050607).i32(-2);
    expect(out.copy().toHex()).toBe(group('01 0302 07060504 0203 04050607 feffffff'));
    expect(out.length).toBe(17);
  });

  test('writes 64 bits in both orders', () => {
    const out = new ByteWriter().u64(0x0102030405060708n).be64(0x0102030405060708n);
    expect(out.copy().toHex()).toBe('08070605040302010102030405060708');
  });

  // Every write may be the one that makes the memory grow.
  test.each([
    ['u8', 1],
    ['u16', 2],
    ['u32', 4],
    ['i32', 4],
    ['be16', 2],
    ['be32', 4],
  ] as const)('%s grows the memory and keeps what was there', (method, size) => {
    const out = new ByteWriter(1);
    for (let i = 1; i <= 100; i += 1) out[method](i);
    expect(out.length).toBe(100 * size);
    const reader = { u8: (b: Uint8Array, at: number) => b[at], u16: readU16, u32: readU32, i32: readI32 };
    const read = { ...reader, be16: readBe16, be32: readBe32 }[method];
    for (let i = 1; i <= 100; i += 1) expect(read(out.written(), (i - 1) * size)).toBe(i);
  });

  test('64-bit writes, bytes and zeros grow the memory', () => {
    const out = new ByteWriter(1).u64(1n).be64(2n).bytes(Uint8Array.of(9, 8)).zeros(3);
    expect(out.copy().toHex()).toBe(group('0100000000000000 0000000000000002 0908 000000'));
  });

  test('align pads with zeros, also over memory used before', () => {
    const out = new ByteWriter(8).u32(0xffffffff).u32(0xffffffff);
    out.reset();
    out.u8(7).align(4);
    expect(out.copy().toHex()).toBe('07000000');
    expect(out.align(4).length).toBe(4);
  });

  test('patches what has been written', () => {
    const out = new ByteWriter().u16(0).u32(0).u8(5);
    out.patchU16(0, 0xabcd);
    out.patchU32(2, 0x01020304);
    expect(out.copy().toHex()).toBe('cdab0403020105');
  });

  test('a copy does not change with later writes', () => {
    const out = new ByteWriter().u8(1);
    const copy = out.copy();
    out.reset();
    out.u8(2);
    expect([...copy]).toEqual([1]);
  });
});

describe('reads', () => {
  test('at an offset of a view into a larger buffer', () => {
    const bytes = Uint8Array.fromHex('ffffff0102030405060708ff').subarray(2);
    expect(readU16(bytes, 1)).toBe(0x0201);
    expect(readU32(bytes, 1)).toBe(0x04030201);
    expect(readU64(bytes, 1)).toBe(0x0807060504030201n);
    expect(readBe16(bytes, 1)).toBe(0x0102);
    expect(readBe32(bytes, 1)).toBe(0x01020304);
    expect(readBe64(bytes, 1)).toBe(0x0102030405060708n);
    expect(readU32(Uint8Array.of(255, 255, 255, 255))).toBe(4294967295);
    expect(readI32(Uint8Array.of(255, 255, 255, 255))).toBe(-1);
  });

  test('sameBytes compares length and content', () => {
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(sameBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  });
});
