import { expect, test } from 'bun:test';
import type { Packet } from '#lab/packet/decode.ts';
import { Ip } from '#net/ip.ts';
import { refusalOf } from './refusal.ts';

const seen = (source: string, type: number, code: number) => {
  const from = Ip.parse(source);
  return { packet: { ip: { source: from }, icmp: { type, code } } as unknown as Packet };
};
const to4 = Ip.parse('203.0.113.10');
const to6 = Ip.parse('2001:db8::10');

test('an error of somebody on the way is told with who said it and what it means', () => {
  expect(refusalOf([seen('192.168.50.1', 3, 0)], to4)).toBe('192.168.50.1 says: it has no route there');
  expect(refusalOf([seen('192.168.50.1', 3, 13)], to4)).toBe('192.168.50.1 says: a firewall forbids it');
  expect(refusalOf([seen('fd50::1', 1, 0)], to6)).toBe('fd50::1 says: it has no route there');
  expect(refusalOf([seen('fd50::1', 2, 0)], to6)).toBe(
    'fd50::1 says: the packet is too long for a link behind it',
  );
  // Type 3 is another error in ICMPv6.
  expect(refusalOf([seen('fd50::1', 3, 13)], to6)).toBe('fd50::1 says: ICMP type 3, code 13');
});

test('it is found inside the overlay, and behind other packets', () => {
  const wrapped = { packet: { vxlan: { inner: seen('10.244.2.1', 11, 0).packet } } as unknown as Packet };
  const other = { packet: {} as Packet };
  expect(refusalOf([other, wrapped], to4)).toBe(
    '10.244.2.1 says: the packet went in a circle until its TTL was used up',
  );
});

test('what the destination itself says is an answer, and so is silence none', () => {
  expect(refusalOf([seen('203.0.113.10', 3, 3)], to4)).toBeUndefined();
  expect(refusalOf([], to4)).toBeUndefined();
});
