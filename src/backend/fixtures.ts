import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { describeEntry } from '#host/plan.ts';
import { parseNetworkConfig } from '#subnet/config.ts';
import type { FamilyLease, Lease } from '#subnet/lease.ts';
import type { Backend, BackendContext } from './backend.ts';

/** MAC of the device that is there. */
export const MAC = 'ce:13:be:ae:4d:53';
const SUBNETS = { ipv4: Cidr.parse('10.244.1.0/24'), ipv6: Cidr.parse('2001:cafe:42:1::/64') };
export const LOCAL = { ipv4: Ip.parse('192.168.50.11'), ipv6: Ip.parse('fd50::11') };

export function config(backend: object, families: readonly Family[] = ['ipv4']) {
  const text = JSON.stringify({
    Network: '10.244.0.0/16',
    IPv6Network: '2001:cafe:42::/56',
    EnableIPv4: families.includes('ipv4'),
    EnableIPv6: families.includes('ipv6'),
    Backend: { Type: 'vxlan', ...backend },
  });
  return parseNetworkConfig(text, { source: 'net-conf.json' }).config;
}

/** The context of n1 of the recordings; `backend` as in net-conf.json, vxlan unless it says otherwise. */
export function context(
  backend: object = {},
  change: Partial<BackendContext> & { families?: readonly Family[] } = {},
): BackendContext {
  const { families = ['ipv4'], ...rest } = change;
  const pick = <T>(all: Record<Family, T>) =>
    Object.fromEntries(families.map((family) => [family, all[family]]));
  return {
    config: config(backend, families),
    external: { name: 'eth0', mtu: 1500, addresses: pick(LOCAL), publicIps: pick(LOCAL) },
    own: { name: 'n1', subnets: pick(SUBNETS), backendType: undefined, backendData: {}, publicIp: {} },
    liveMac: () => Mac.parse(MAC),
    randomMac: () => Uint8Array.of(0xff, 1, 2, 3, 4, 5),
    isOnLink: (ip) => ip.toString().startsWith('192.168.50.'),
    ...rest,
  };
}

/** IPv4 of n2. */
export function side(change: Partial<FamilyLease> = {}): FamilyLease {
  return {
    subnet: Cidr.parse('10.244.2.0/24'),
    publicIp: Ip.parse('192.168.50.12'),
    backendData: '{"VNI":1,"VtepMAC":"ba:35:f7:c1:34:9a"}',
    ...change,
  };
}

/** IPv6 of n2. */
export const SIDE6: FamilyLease = {
  subnet: Cidr.parse('2001:cafe:42:2::/64'),
  publicIp: Ip.parse('fd50::12'),
  backendData: '{"VNI":1,"VtepMAC":"96:1a:97:82:a2:9e"}',
};

/** n2's. */
export const lease = (families: Lease['families'], backendType = 'vxlan'): Lease => ({
  name: 'n2',
  backendType,
  families,
});

/** What a backend makes of n2's lease, in words. */
export function planned(
  backend: Backend,
  peer: Lease,
): { entries: string[]; rejected: string[]; unreachable: string[] } {
  const { entries, rejected, unreachable = [] } = backend.peer(peer);
  return {
    entries: entries.map(describeEntry),
    rejected: rejected.map(({ family, reason }) => `${family}: ${reason}`),
    unreachable: unreachable.map(String),
  };
}
