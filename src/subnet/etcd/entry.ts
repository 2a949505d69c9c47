import type { KeyValue } from '#clients/etcd/client.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { NetworkConfig } from '../config.ts';
import type { FamilyLease, Lease, PerFamily } from '../lease.ts';
import { parseSubnetName } from './keys.ts';
import { type LeaseValue, parseLeaseValue } from './value.ts';

/** A key below `<prefix>/subnets/` that names a subnet. */
export interface Entry {
  /** The last part of the key. */
  readonly name: string;
  readonly subnets: PerFamily<Cidr>;
  /** A string says why the value cannot be read. */
  readonly value: LeaseValue | string;
  readonly text: string;
  /** The etcd lease; 0 marks a reservation. */
  readonly lease: bigint;
  readonly modRevision: bigint;
}

/** `prefix` is that of all leases. Undefined when the key is no subnet. */
export function entryOf(kv: KeyValue, prefix: string): Entry | undefined {
  const name = kv.key.slice(prefix.length);
  const subnets = parseSubnetName(name);
  if (subnets === undefined) return undefined;
  const { lease, modRevision, value: text } = kv;
  return { name, subnets, value: parseLeaseValue(text), text, lease, modRevision };
}

/** The peer that an entry describes; a string says why it is none. */
export function leaseOf(entry: Entry, config: NetworkConfig): Lease | string {
  const { value, subnets, name } = entry;
  if (typeof value === 'string') return value;
  const families: Partial<Record<Family, FamilyLease>> = {};
  for (const family of config.families) {
    const subnet = subnets[family];
    const publicIp = value.publicIp[family];
    if (subnet === undefined || publicIp === undefined) continue;
    if (config.networks[family]?.contains(subnet) !== true) return `${subnet} lies outside the pod network`;
    families[family] = { subnet, publicIp, backendData: value.backendData[family] ?? 'null' };
  }
  if (Object.keys(families).length === 0) return 'it has no public address in an enabled family';
  return { name, backendType: value.backendType, families };
}
