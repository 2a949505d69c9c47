import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { FAMILIES } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import { onlyHostIp, type PortmapConfig, type PortMapping, type PortProtocol } from './config.ts';

/** What one container gets. */
export interface Forwarding {
  readonly config: PortmapConfig;
  /** Name of the network. */
  readonly network: string;
  readonly containerId: string;
  /** The pod's addresses; the first of each family is the target. */
  readonly addresses: readonly Cidr[];
}

/** One container of one network. */
export type Owner = Pick<Forwarding, 'network' | 'containerId'>;

/** A container and an address that it has. */
export interface Target {
  readonly containerId: string;
  readonly ip: Ip;
}

/** What GC is told of a network. */
export interface Collection {
  readonly network: string;
  /** IDs of the containers that the runtime knows. */
  readonly valid: ReadonlySet<string>;
  /** Of other containers, with addresses that are the network's. */
  readonly dead: readonly Target[];
}

/** A rule that sent packets to `target` and is gone. */
export interface LostMapping {
  readonly protocol: PortProtocol;
  readonly hostPort: number;
  readonly hostIp: Ip | undefined;
  readonly target: Ip;
}

/** The first address of each family: one port of the node leads to one place. */
export function targetsOf({ addresses }: Pick<Forwarding, 'addresses'>): readonly Cidr[] {
  return FAMILIES.flatMap((family) => addresses.filter((address) => address.family === family).slice(0, 1));
}

/** The mappings that mean something in a family; those to a host address of the other one are left out. */
export function mappingsFor({ mappings }: PortmapConfig, family: Family): readonly PortMapping[] {
  return mappings.filter(({ hostIp }) => hostIp === undefined || hostIp.family === family);
}

/** The place on the node that a mapping occupies, within its family: two rules with one key exclude each other. */
export function placeOf(mapping: PortMapping): string {
  return placeKey(mapping.protocol, mapping.hostPort, onlyHostIp(mapping));
}

export function placeKey(protocol: PortProtocol, port: number, hostIp: Ip | undefined): string {
  return `${protocol} ${port} ${hostIp?.toString() ?? '*'}`;
}
