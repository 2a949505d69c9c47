import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { Mac } from './mac.ts';

describe('Mac', () => {
  test('text is lower case with colons', () => {
    expect(String(Mac.parse('02:AB:cd:00:00:01'))).toBe('02:ab:cd:00:00:01');
    expect(String(Mac.parse('02-ab-cd-00-00-01'))).toBe('02:ab:cd:00:00:01');
    expect(JSON.stringify(Mac.parse('02:AB:CD:00:00:01'))).toBe('"02:ab:cd:00:00:01"');
  });

  test.each([
    '',
    '02:ab:cd:00:00',
    '02:ab:cd:00:00:01:02',
    '02:ab-cd:00:00:01',
    '2:ab:cd:00:00:01',
    '02:ab:cd:00:00:0g',
    '02abcd000001',
    '02ab.cd00.0001',
    ' 02:ab:cd:00:00:01',
    '02:ab:cd:00:00:01\n',
  ])('%p is refused', (text) => {
    expect(Mac.tryParse(text)).toBeUndefined();
    expect(() => Mac.parse(text)).toThrow('is not a MAC address');
  });

  test('bytes round trip', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
        const mac = Mac.fromBytes(bytes);
        expect(mac.toBytes()).toEqual(bytes);
        expect(Mac.parse(mac.toString()).equals(mac)).toBe(true);
        expect(mac.isMulticast()).toBe(((bytes[0] ?? 0) & 1) === 1);
        expect(mac.isZero()).toBe(bytes.every((byte) => byte === 0));
      }),
    );
    expect(() => Mac.fromBytes(new Uint8Array(8))).toThrow('a MAC address has 6 bytes, not 8');
  });

  test('a local address is unicast and locally administered, whatever the random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 8 }), (random) => {
        const given = Uint8Array.from(random);
        const [first = 0] = Mac.local(random).toBytes();
        expect(first & 3).toBe(2);
        // The caller's bytes stay as they are.
        expect(random).toEqual(given);
      }),
    );
    expect(() => Mac.local(new Uint8Array(5))).toThrow('not 5');
  });

  test('equality', () => {
    const mac = Mac.parse('02:00:00:00:00:01');
    expect(mac.equals(Mac.parse('02-00-00-00-00-01'))).toBe(true);
    expect(mac.equals(Mac.parse('02:00:00:00:00:02'))).toBe(false);
    expect(mac.equals(undefined)).toBe(false);
    expect(Mac.parse('00:00:00:00:00:00').isZero()).toBe(true);
  });
});
