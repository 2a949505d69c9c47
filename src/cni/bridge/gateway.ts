import { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import type { CniIp, CniResult, CniRoute } from '../result.ts';
import type { BridgeConfig } from './config.ts';

/** What the addresses of the IPAM plugin mean for pod and bridge. */
export interface Addressing {
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  /** Addresses that the bridge must carry; empty unless it is the gateway. */
  readonly gateways: readonly Cidr[];
}

/** Index of the container's interface in the result of `bridge`: behind the bridge and the host's end. */
const CONTAINER_INTERFACE = 2;

/** Everything of one family. */
export function defaultNetwork(family: Family): Cidr {
  return new Cidr(Ip.fromValue(family, 0n), 0);
}

/** Completes gateways, adds the default routes, points the addresses at the container's interface. Pure. */
export function planAddressing(
  ipam: CniResult,
  config: Pick<BridgeConfig, 'isGateway' | 'isDefaultGateway'>,
): Addressing {
  const ips = ipam.ips.map((ip) => ({
    address: ip.address,
    gateway: ip.gateway ?? (config.isGateway ? ip.address.first().add(1) : undefined),
    interface: CONTAINER_INTERFACE,
  }));
  const routes = [...ipam.routes];
  for (const ip of config.isDefaultGateway ? ips : []) {
    const dst = defaultNetwork(ip.address.family);
    const at = routes.findIndex((route) => route.dst.equals(dst));
    if (at < 0) routes.push({ dst, gw: ip.gateway });
  }
  const gateways: Cidr[] = [];
  for (const { address, gateway } of config.isGateway ? ips : []) {
    if (gateway !== undefined) gateways.push(new Cidr(gateway, address.length));
  }
  return { ips, routes, gateways };
}

/** The gateway that a route of this family takes: its own, else that of the first address with one. */
export function gatewayFor(route: CniRoute, ips: readonly CniIp[]): Ip | undefined {
  if (route.gw !== undefined) return route.gw;
  // RT_SCOPE_LINK and narrower (`linux/rtnetlink.h`): reached directly, the kernel refuses a gateway.
  if ((route.scope ?? 0) >= 253) return undefined;
  return ips.find((ip) => ip.address.family === route.dst.family && ip.gateway !== undefined)?.gateway;
}

/** Families of which there is an address, IPv4 first. */
export function familiesOf(cidrs: readonly Cidr[]): Family[] {
  return FAMILIES.filter((family) => cidrs.some((cidr) => cidr.family === family));
}
