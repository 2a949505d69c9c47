import { Cidr } from '#net/cidr.ts';
import type { PerFamily } from '../lease.ts';

/** `--etcd-prefix` as the original joins it: no doubled and no trailing slashes. */
export function normalPrefix(prefix: string): string {
  const joined = prefix.replaceAll(/\/{2,}/g, '/');
  return joined.length > 1 && joined.endsWith('/') ? joined.slice(0, -1) : joined;
}

export function configKey(prefix: string): string {
  return `${prefix}/config`;
}

/** All leases are below it. */
export function subnetsPrefix(prefix: string): string {
  return `${prefix}/subnets/`;
}

/**
 * The last part of a lease's key: `10.5.52.0-24`, with IPv6 `10.5.52.0-24&2001:cafe:42:1::-64`. IPv6 alone is written by the original
 * with an IPv4 subnet of all zeros before it.
 */
export function subnetName(subnets: PerFamily<Cidr>): string {
  const { ipv4, ipv6 } = subnets;
  const first = ipv4 === undefined ? '0.0.0.0-0' : `${ipv4.ip}-${ipv4.length}`;
  return ipv6 === undefined ? first : `${first}&${ipv6.ip}-${ipv6.length}`;
}

const NAME = /^([\d.]{7,15})-(\d{1,2})(?:&([\da-f:]{2,39})-(\d{1,3}))?$/;

/** The subnets that a key's last part names; undefined when it is none. */
export function parseSubnetName(name: string): PerFamily<Cidr> | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [, ip = '', length = '', ip6, length6 = ''] = match;
  const ipv6 = ip6 === undefined ? undefined : subnet(`${ip6}/${length6}`, 'ipv6');
  if (ip6 !== undefined && ipv6 === undefined) return undefined;
  if (ip === '0.0.0.0' && length === '0') return ipv6 === undefined ? undefined : { ipv6 };
  const ipv4 = subnet(`${ip}/${length}`, 'ipv4');
  if (ipv4 === undefined) return undefined;
  return ipv6 === undefined ? { ipv4 } : { ipv4, ipv6 };
}

function subnet(text: string, family: 'ipv4' | 'ipv6'): Cidr | undefined {
  const cidr = Cidr.tryParse(text);
  return cidr !== undefined && cidr.family === family && cidr.isNetwork() && cidr.length > 0
    ? cidr
    : undefined;
}
