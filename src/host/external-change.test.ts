import { expect, test } from 'bun:test';
import { externalChange, isDead, type InUse } from '#host/external-interface.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { Address } from '#rtnetlink/address.ts';
import { IFA_F } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';

const IN_USE: InUse = {
  name: 'eth0',
  mtu: 1500,
  addresses: { ipv4: Ip.parse('192.168.50.11') },
  families: ['ipv4'],
};

function change(addresses: readonly string[], mtu = 1500, flags = 0, inUse = IN_USE): string | undefined {
  const links = [{ index: 2, name: 'eth0', mtu } as Link];
  const list = addresses.map((text): Address => ({ link: 2, cidr: Cidr.parse(text), scope: 0, flags }));
  return externalChange({ links, addresses: list }, inUse);
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

test('an address for a family that has waited for one, or that had only a link-local one', () => {
  const dual: InUse = { ...IN_USE, families: ['ipv4', 'ipv6'] };
  const from = (addresses: readonly string[], flags = 0, inUse = dual) =>
    change(['192.168.50.11/24', ...addresses], 1500, flags, inUse);
  expect(from([])).toBeUndefined();
  expect(from(['fe80::1/64'])).toBeUndefined();
  expect(from(['fd50::11/64'])).toBe('eth0 now has the ipv6 address fd50::11');
  expect(from(['fd50::11/64'], IFA_F.TENTATIVE)).toBeUndefined();
  const local = { ...dual, addresses: { ...dual.addresses, ipv6: Ip.parse('fe80::1') } };
  expect(from(['fe80::1/64'], 0, local)).toBeUndefined();
  expect(from(['fe80::1/64', 'fd50::11/64'], 0, local)).toBe('eth0 now has the ipv6 address fd50::11');
});

test('renamed, or its address given to another interface', () => {
  const links = [{ index: 2, name: 'ens3', mtu: 1500 } as Link];
  const addresses = [{ link: 2, cidr: Cidr.parse('192.168.50.11/24'), scope: 0, flags: 0 }];
  expect(externalChange({ links, addresses }, IN_USE)).toBe('address 192.168.50.11 of eth0 is now on ens3');
  expect(isDead({ links, addresses }, IN_USE)).toBe(true);
});

test('dead: not there, or without an address of any family in use', () => {
  const links = [{ index: 2, name: 'eth0', mtu: 1500 } as Link];
  const dead = (addresses: readonly string[], inUse = IN_USE) =>
    isDead(
      {
        links,
        addresses: addresses.map((text) => ({ link: 2, cidr: Cidr.parse(text), scope: 0, flags: 0 })),
      },
      inUse,
    );
  expect(dead(['192.168.50.99/24'])).toBe(false);
  expect(dead(['fe80::1/64'])).toBe(true);
  const dual = { ...IN_USE, addresses: { ...IN_USE.addresses, ipv6: Ip.parse('fd50::11') } };
  expect(dead(['fd50::11/64'], dual)).toBe(false);
  expect(dead([], dual)).toBe(true);
});
