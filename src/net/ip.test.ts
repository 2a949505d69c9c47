import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { FlannelError } from '#base/errors.ts';
import { Ip } from './ip.ts';

const MAX6 = (1n << 128n) - 1n;

describe('text of IPv6 (RFC 5952)', () => {
  test.each([
    // Section 4.1 and 4.3: no leading zeros, lower case.
    ['2001:0DB8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    // Section 4.2.1: as short as possible.
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    // Section 4.2.2: one group of zeros alone is not shortened.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    // Section 4.2.3: the longest run, the first of equals.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    // Section 5: IPv4-mapped addresses with their dotted tail.
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ])('%s is %s', (given, expected) => {
    expect(Ip.parse(given).toString()).toBe(expected);
  });
});

describe('what is not an address', () => {
  test.each([
    '',
    ' ',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    '01.2.3.4',
    '1.2.3.04',
    '1.2.3.4 ',
    '1.2.3.4/24',
    '1.2.3.4:80',
    '0x1.2.3.4',
    '1.2.3.٤',
    '1e1.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '[::1]',
    '::1.2.3.4.5',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '::256.2.3.4',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '\u0000::1',
    '1'.repeat(1000),
  ])('%p', (text) => {
    expect(Ip.tryParse(text)).toBeUndefined();
    expect(() => Ip.parse(text)).toThrow(FlannelError);
  });

  test('the error quotes a bounded part of it', () => {
    expect(() => Ip.parse('eth0\n')).toThrow('"eth0\\n" is not an IP address');
    expect(() => Ip.parse('x'.repeat(1000))).toThrow(/^"x{64}" is not an IP address$/);
  });
});

describe('values', () => {
  test('bytes in network order, both families', () => {
    expect(Ip.parse('192.0.2.1').toBytes().toHex()).toBe('c0000201');
    expect(Ip.parse('2001:db8::1').toBytes().toHex()).toBe('20010db8000000000000000000000001');
    expect(String(Ip.fromBytes(Uint8Array.fromHex('fffffffe')))).toBe('255.255.255.254');
    expect(() => Ip.fromBytes(new Uint8Array(5))).toThrow('not 5');
  });

  test('bytes of a view into a larger buffer', () => {
    const buffer = Uint8Array.fromHex('ffffc0000201ffff');
    expect(String(Ip.fromBytes(buffer.subarray(2, 6)))).toBe('192.0.2.1');
  });

  test('arithmetic stays inside the family', () => {
    expect(String(Ip.parse('10.0.0.255').add(1))).toBe('10.0.1.0');
    expect(String(Ip.parse('10.0.1.0').add(-1n))).toBe('10.0.0.255');
    expect(() => Ip.parse('255.255.255.255').add(1)).toThrow('out of range');
    expect(() => Ip.parse('::').add(-1)).toThrow('out of range');
    expect(() => Ip.fromValue('ipv6', MAX6 + 1n)).toThrow('out of range');
  });

  test('order: families first, then value', () => {
    const texts = ['2001:db8::1', '10.0.0.2', '::1', '9.0.0.1', '10.0.0.10'];
    const sorted = texts.map((text) => Ip.parse(text)).toSorted((a, b) => a.compare(b));
    expect(sorted.map(String)).toEqual(['9.0.0.1', '10.0.0.2', '10.0.0.10', '::1', '2001:db8::1']);
    expect(Ip.parse('10.0.0.1').equals(Ip.parse('::ffff:10.0.0.1'))).toBe(false);
    expect(Ip.parse('0.0.0.1').equals(Ip.parse('::1'))).toBe(false);
    expect(Ip.parse('::1').equals(Ip.parse('0::1'))).toBe(true);
    expect(Ip.parse('::1').compare(Ip.parse('::1'))).toBe(0);
  });

  test.each([
    ['0.0.0.0', ['isUnspecified']],
    ['::', ['isUnspecified']],
    ['127.8.8.8', ['isLoopback']],
    ['::1', ['isLoopback']],
    ['224.0.0.1', ['isMulticast']],
    ['239.255.255.255', ['isMulticast']],
    ['240.0.0.1', []],
    ['ff02::1', ['isMulticast']],
    ['169.254.1.1', ['isLinkLocal']],
    ['fe80::1', ['isLinkLocal']],
    ['febf::1', ['isLinkLocal']],
    ['fec0::1', []],
    ['192.0.2.1', []],
    ['2001:db8::1', []],
  ] as const)('%s is %p', (text, expected) => {
    const ip = Ip.parse(text);
    const tests = ['isUnspecified', 'isLoopback', 'isMulticast', 'isLinkLocal'] as const;
    expect(tests.filter((name) => ip[name]())).toEqual([...expected]);
  });

  test('JSON is the text', () => {
    expect(JSON.stringify({ ip: Ip.parse('::1') })).toBe('{"ip":"::1"}');
  });
});

describe('round trips', () => {
  test('any value through text and bytes, IPv4', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 0xffffffffn }), (value) => {
        const ip = Ip.fromValue('ipv4', value);
        expect(Ip.parse(ip.toString()).value).toBe(value);
        expect(Ip.fromBytes(ip.toBytes()).value).toBe(value);
      }),
    );
  });

  test('any value through text and bytes, IPv6, with runs of zeros', () => {
    const group = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const value = groups.reduce((sum, each) => (sum << 16n) | each, 0n);
        const ip = Ip.fromValue('ipv6', value);
        expect(Ip.parse(ip.toString()).value).toBe(value);
        expect(Ip.parse(ip.toString().toUpperCase()).value).toBe(value);
        expect(Ip.fromBytes(ip.toBytes()).value).toBe(value);
        expect(Ip.parse(groups.map((each) => each.toString(16).padStart(4, '0')).join(':')).value).toBe(
          value,
        );
      }),
      { numRuns: 500 },
    );
  });

  test('any text is an address or refused, without an exception', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef:./%')) }),
    );
    fc.assert(
      fc.property(text, (each) => {
        const ip = Ip.tryParse(each);
        if (ip !== undefined) expect(Ip.parse(ip.toString()).equals(ip)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
