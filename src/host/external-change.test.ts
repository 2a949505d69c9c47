import { expect, test } from 'bun:test';
import { externalChange, type InUse } from '#host/external-interface.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { Address } from '#rtnetlink/address.ts';
import { IFA_F } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';

const IN_USE: InUse = { name: 'eth0', mtu: 1500, addresses: { ipv4: Ip.parse('192.168.50.11') } };

function change(addresses: readonly string[], mtu = 1500, flags = 0): string | undefined {
  const links = [{ index: 2, name: 'eth0', mtu } as Link];
  const list = addresses.map((text): Address => ({ link: 2, cidr: Cidr.parse(text), scope: 0, flags }));
  return externalChange({ links, addresses: list }, IN_USE);
}

test('as it was, or with more addresses: no change', () => {
  expect(change(['192.168.50.11/24'])).toBeUndefined();
  expect(change(['10.0.0.9/24', '192.168.50.11/16', 'fd50::11/64'])).toBeUndefined();
});

test('gone, or without any address of the family: it may come back as it was', () => {
  expect(externalChange({ links: [], addresses: [] }, IN_USE)).toBeUndefined();
  expect(change([])).toBeUndefined();
  expect(change(['fd50::11/64', '169.254.3.4/16'])).toBeUndefined();
});

test('another address or MTU', () => {
  expect(change(['192.168.50.77/24'])).toBe('address of eth0 is now 192.168.50.77, was 192.168.50.11');
  expect(change(['192.168.50.11/24'], 1400)).toBe('MTU of eth0 is now 1400, was 1500');
  expect(change(['192.168.50.77/24'], 1500, IFA_F.TENTATIVE)).toBeUndefined();
});
