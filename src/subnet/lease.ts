import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';

export type PerFamily<T> = Readonly<Partial<Record<Family, T>>>;

/** What one node says of itself in one family. */
export interface FamilyLease {
  /** The node's pod subnet: a network, host bits zero. */
  readonly subnet: Cidr;
  /** Where peers send outer packets to. */
  readonly publicIp: Ip;
  /** `backend-data` as the node published it: raw JSON, untrusted, at most 4 KiB; the backend parses it strictly. */
  readonly backendData: string;
}

/**
 * Why a peer, or one family of it, is left out: it runs another backend; what it publishes, or its podCIDRs, cannot be used;
 * its subnet or its MAC is this node's; its public address is no peer's; it is not on this node's link, and has to be.
 */
export type LeftOutReason =
  'backend' | 'unreadable' | 'pod_cidr' | 'own_subnet' | 'own_mac' | 'address' | 'off_link';

/** A node's piece of the pod network: immutable, compared as a whole. */
export interface Lease {
  /** Node name (Kubernetes) or lease key (etcd): the identity of the peer. */
  readonly name: string;
  /** `backend-type`, e.g. `vxlan`. */
  readonly backendType: string;
  readonly families: PerFamily<FamilyLease>;
}

/** True when both leases program the same kernel state. */
export function sameLease(a: Lease, b: Lease): boolean {
  if (a.name !== b.name || a.backendType !== b.backendType) return false;
  return (['ipv4', 'ipv6'] as const).every((family) => {
    const x = a.families[family];
    const y = b.families[family];
    if (x === undefined || y === undefined) return x === y;
    return x.subnet.equals(y.subnet) && x.publicIp.equals(y.publicIp) && x.backendData === y.backendData;
  });
}
