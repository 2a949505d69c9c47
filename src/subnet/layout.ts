import type { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { type Fields, integerField, stringField, wrong } from './fields.ts';

/** How the etcd manager cuts the pod network into node subnets. */
export interface SubnetLayout {
  /** Prefix length of a node's subnet. */
  readonly length: number;
  /** First address of the first subnet that may be handed out. */
  readonly min: Ip;
  /** First address of the last one. */
  readonly max: Ip;
}

const RULES = {
  ipv4: { prefix: '', wanted: 24, roomy: 22, smallest: 28, longest: 30 },
  ipv6: { prefix: 'IPv6', wanted: 64, roomy: 62, smallest: 124, longest: 126 },
} as const;

/** `SubnetLen`, `SubnetMin`, `SubnetMax` (or their IPv6 siblings) with Flannel's defaults. Throws ConfigError. */
export function parseLayout(fields: Fields, network: Cidr): SubnetLayout {
  const rules = RULES[network.family];
  const networkKey = `${rules.prefix}Network`;
  const lengthKey = `${rules.prefix}SubnetLen`;
  const given = integerField(fields, lengthKey, { min: 0, max: rules.longest });
  // 0 means "not set" in the original.
  if ((given ?? 0) === 0 && network.length > rules.smallest) {
    throw wrong(fields, networkKey, `a network of at most /${rules.smallest}, so that four subnets fit`);
  }
  const fallback = network.length <= rules.roomy ? rules.wanted : network.length + 2;
  const length = given === undefined || given === 0 ? fallback : given;
  if (length < network.length + 2) {
    const least = network.length + 2;
    const allowed = `at least ${least}: ${network} must hold at least four subnets`;
    throw wrong(fields, lengthKey, allowed);
  }
  const size = 1n << BigInt(network.ip.bits - length);
  const bound = { fields, network, length };
  // The first subnet is left out: its first address would be the network address of the whole network.
  const min = boundary(bound, `${rules.prefix}SubnetMin`) ?? network.first().add(size);
  const max = boundary(bound, `${rules.prefix}SubnetMax`) ?? network.last().add(1n - size);
  if (min.compare(max) > 0)
    throw wrong(fields, `${rules.prefix}SubnetMin`, `at most ${rules.prefix}SubnetMax (${max})`);
  return { length, min, max };
}

interface Bound {
  readonly fields: Fields;
  readonly network: Cidr;
  readonly length: number;
}

function boundary({ fields, network, length }: Bound, key: string): Ip | undefined {
  const text = stringField(fields, key, 64);
  if (text === undefined || text === '') return undefined;
  const ip = Ip.tryParse(text);
  if (ip === undefined || !network.contains(ip)) throw wrong(fields, key, `an address inside ${network}`);
  const host = BigInt(ip.bits - length);
  if ((ip.value >> host) << host !== ip.value) throw wrong(fields, key, `on a /${length} boundary`);
  return ip;
}
