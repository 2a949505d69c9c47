import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { Cidr } from './cidr.ts';
import { Ip } from './ip.ts';

describe('parsing', () => {
  test.each([
    '10.244.0.0/16',
    '10.244.1.1/24',
    '0.0.0.0/0',
    '192.0.2.1/32',
    '2001:db8::/32',
    '::/0',
    '::1/128',
  ])('%s keeps its host bits', (text) => {
    expect(Cidr.parse(text).toString()).toBe(text);
    expect(JSON.stringify(Cidr.parse(text))).toBe(`"${text}"`);
  });

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10.0.0/8',
    '::/129',
    '::/1000',
    'fe80::1%lo/64',
    '/8',
  ])('%p is refused', (text) => {
    expect(Cidr.tryParse(text)).toBeUndefined();
    expect(() => Cidr.parse(text)).toThrow('is not a CIDR (address/length)');
  });

  test('the constructor refuses lengths that the family does not have', () => {
    for (const length of [-1, 33, 1.5, Number.NaN]) {
      expect(() => new Cidr(Ip.parse('10.0.0.0'), length)).toThrow('is not a prefix length of ipv4');
    }
    expect(new Cidr(Ip.parse('::'), 33).length).toBe(33);
  });
});

describe('ranges', () => {
  test.each([
    ['10.244.1.77/24', '10.244.1.0', '10.244.1.255', 256n],
    ['10.0.0.1/32', '10.0.0.1', '10.0.0.1', 1n],
    ['10.0.0.1/31', '10.0.0.0', '10.0.0.1', 2n],
    ['1.2.3.4/0', '0.0.0.0', '255.255.255.255', 1n << 32n],
    ['2001:db8::5/126', '2001:db8::4', '2001:db8::7', 4n],
    ['::1/0', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 1n << 128n],
  ])('%s spans %s to %s', (text, first, last, size) => {
    const cidr = Cidr.parse(text);
    expect(String(cidr.first())).toBe(first);
    expect(String(cidr.last())).toBe(last);
    expect(cidr.size).toBe(size);
    expect(String(cidr.network())).toBe(`${first}/${cidr.length}`);
    expect(cidr.isNetwork()).toBe(text.startsWith(`${first}/`));
  });

  test('contains addresses and smaller networks of the same family', () => {
    const cidr = Cidr.parse('10.244.0.0/16');
    expect(cidr.contains(Ip.parse('10.244.255.255'))).toBe(true);
    expect(cidr.contains(Ip.parse('10.245.0.0'))).toBe(false);
    expect(cidr.contains(Cidr.parse('10.244.7.0/24'))).toBe(true);
    expect(cidr.contains(Cidr.parse('10.244.0.0/16'))).toBe(true);
    expect(cidr.contains(Cidr.parse('10.0.0.0/8'))).toBe(false);
    expect(Cidr.parse('::/0').contains(Ip.parse('10.244.0.1'))).toBe(false);
    expect(Cidr.parse('0.0.0.0/0').contains(Ip.parse('::'))).toBe(false);
  });

  test('equality is of address and length', () => {
    expect(Cidr.parse('10.0.0.0/8').equals(Cidr.parse('10.0.0.0/8'))).toBe(true);
    expect(Cidr.parse('10.0.0.0/8').equals(Cidr.parse('10.0.0.0/9'))).toBe(false);
    expect(Cidr.parse('10.0.0.0/8').equals(Cidr.parse('10.0.0.1/8'))).toBe(false);
  });
});

describe('properties', () => {
  const cidr = fc.oneof(
    fc
      .record({ value: fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }), length: fc.nat({ max: 32 }) })
      .map(({ value, length }) => new Cidr(Ip.fromValue('ipv4', value), length)),
    fc
      .record({ value: fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), length: fc.nat({ max: 128 }) })
      .map(({ value, length }) => new Cidr(Ip.fromValue('ipv6', value), length)),
  );

  test('text round trip; first and last are inside, their neighbours are not', () => {
    fc.assert(
      fc.property(cidr, (each) => {
        expect(Cidr.parse(each.toString()).equals(each)).toBe(true);
        expect(each.contains(each.first())).toBe(true);
        expect(each.contains(each.last())).toBe(true);
        expect(each.last().value - each.first().value + 1n).toBe(each.size);
        if (each.first().value > 0n) expect(each.contains(each.first().add(-1))).toBe(false);
      }),
    );
  });

  test('overlap is symmetric and means a common address', () => {
    fc.assert(
      fc.property(cidr, cidr, (a, b) => {
        const common =
          a.family === b.family && a.first().value <= b.last().value && b.first().value <= a.last().value;
        expect(a.overlaps(b)).toBe(common);
        expect(b.overlaps(a)).toBe(common);
      }),
      { numRuns: 500 },
    );
  });
});
