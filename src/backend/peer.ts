import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { FamilyLease, Lease } from '#subnet/lease.ts';
import type { BackendContext, PeerPlan, Refusal } from './backend.ts';

/**
 * Backends whose peers may expect that nothing reaches the wire in the clear. `extension` runs what its operator wrote, which has
 * been WireGuard and IPsec (k3s did so).
 */
const MAYBE_ENCRYPTED: readonly string[] = ['wireguard', 'ipsec', 'extension'];

/**
 * A peer of another backend than this node's cannot be reached. Where its own may encrypt, packets for its subnets must not
 * leave by the default route instead: `unreachable` says so. Undefined for a peer of this node's backend.
 */
export function otherBackend(lease: Lease, type: string, context: BackendContext): PeerPlan | undefined {
  if (lease.backendType === type) return undefined;
  const { families } = context.config;
  const reason = `it uses backend ${JSON.stringify(lease.backendType.slice(0, 32))}, this node ${type}`;
  const sides = MAYBE_ENCRYPTED.includes(lease.backendType) ? Object.values(lease.families) : [];
  const unreachable = sides
    .filter(({ subnet }) => families.includes(subnet.family) && strangeSubnet(subnet, context) === undefined)
    .map(({ subnet }) => subnet);
  return {
    entries: [],
    unreachable,
    rejected: families.map((family) => ({ family, kind: 'backend', reason })),
  };
}

/** What is wrong with one family of a peer whatever the backend; undefined when nothing is. */
export function strangeSide({ subnet, publicIp }: FamilyLease, context: BackendContext): Refusal | undefined {
  const strange = strangeSubnet(subnet, context);
  if (strange !== undefined) return { kind: 'own_subnet', reason: strange };
  const own = ownAddresses(context, subnet.family).some((ip) => ip.equals(publicIp));
  const reason = own ? `it publishes this node's own address ${publicIp}` : unusableAddress(publicIp, subnet);
  return reason === undefined ? undefined : { kind: 'address', reason };
}

/** Addresses that no peer can have. */
function unusableAddress(ip: Ip, subnet: Cidr): string | undefined {
  if (ip.family !== subnet.family) return `its public address ${ip} is of the other family`;
  if (ip.isUnspecified() || ip.isLoopback() || ip.isMulticast())
    return `its public address ${ip} is not a peer's`;
  if (ip.toString() === '255.255.255.255') return 'its public address is the broadcast address';
  if (subnet.contains(ip)) return `its public address ${ip} lies inside its own pod subnet ${subnet}`;
  return undefined;
}

/** A route to such a subnet would cut off this node. */
function strangeSubnet(subnet: Cidr, context: BackendContext): string | undefined {
  const own = context.own.subnets[subnet.family];
  if (own?.overlaps(subnet) === true) return `its subnet ${subnet} overlaps this node's ${own}`;
  const inside = ownAddresses(context, subnet.family).find((ip) => subnet.contains(ip));
  return inside === undefined
    ? undefined
    : `its subnet ${subnet} has this node's own address ${inside} in it`;
}

function ownAddresses({ external }: BackendContext, family: Family): readonly Ip[] {
  return [external.addresses[family], external.publicIps[family]].filter((ip) => ip !== undefined);
}
