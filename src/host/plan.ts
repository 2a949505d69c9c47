import type { Cidr } from '#net/cidr.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';

/** A VXLAN device as it should be: `ip link add <name> type vxlan id <vni> local <local> dev <parent> dstport <port>`. */
export interface VxlanLink {
  readonly name: string;
  readonly vni: number;
  readonly port: number;
  readonly local: Ip;
  /** Name of the external interface. */
  readonly parent: string;
  readonly learning: boolean;
  readonly gbp: boolean;
  readonly mtu: number;
  readonly mac: Mac;
  /** The feature `tx-checksum-ip-generic`: true is on, false off; undefined: whatever it is. */
  readonly txChecksum?: boolean;
  /** The only global addresses on it. */
  readonly addresses: readonly Cidr[];
}

/** `ip neigh replace <ip> lladdr <mac> nud permanent dev <link>`. */
export interface NeighbourEntry {
  readonly type: 'neighbour';
  readonly link: string;
  readonly ip: Ip;
  readonly mac: Mac;
}

/** `bridge fdb replace <mac> dst <dst> dev <link> self permanent`. */
export interface FdbPlanEntry {
  readonly type: 'fdb';
  readonly link: string;
  readonly mac: Mac;
  readonly dst: Ip;
}

/** `ip route replace <dst> via <gateway> dev <link> [onlink]` in the main table. */
export interface RouteEntry {
  readonly type: 'route';
  readonly link: string;
  readonly dst: Cidr;
  readonly gateway: Ip;
  readonly onlink: boolean;
}

/** What one peer needs in the kernel. */
export type Entry = NeighbourEntry | FdbPlanEntry | RouteEntry;

/** The identity of an entry: two entries with one key cannot be in the kernel at the same time. */
export function entryKey(entry: Entry): string {
  switch (entry.type) {
    case 'neighbour':
      return `n ${entry.link} ${entry.ip}`;
    case 'fdb':
      return `f ${entry.link} ${entry.mac}`;
    case 'route':
      return `r ${entry.dst}`;
  }
}

/** True when both say the same in every field. */
export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.type !== b.type || a.link !== b.link) return false;
  switch (a.type) {
    case 'neighbour':
      return b.type === 'neighbour' && a.ip.equals(b.ip) && a.mac.equals(b.mac);
    case 'fdb':
      return b.type === 'fdb' && a.mac.equals(b.mac) && a.dst.equals(b.dst);
    case 'route':
      return (
        b.type === 'route' && a.dst.equals(b.dst) && a.gateway.equals(b.gateway) && a.onlink === b.onlink
      );
  }
}

/** One line as `ip` or `bridge` would say it. */
export function describeEntry(entry: Entry): string {
  switch (entry.type) {
    case 'neighbour':
      return `neighbour ${entry.ip} lladdr ${entry.mac} dev ${entry.link}`;
    case 'fdb':
      return `fdb ${entry.mac} dst ${entry.dst} dev ${entry.link}`;
    case 'route':
      return `route ${entry.dst} via ${entry.gateway} dev ${entry.link}`;
  }
}

/**
 * Priority of `ip route add blackhole <dst> metric 65535`: behind every other route, in particular behind that of `cni0`, which
 * has the same destination. It is also how ours are known.
 */
export const BLACKHOLE_PRIORITY = 65_535;

/** The whole of what this node should look like. */
export interface HostPlan {
  readonly links: readonly VxlanLink[];
  /** Where packets that no other route takes come to an end. */
  readonly blackholes: readonly Cidr[];
  /** By `entryKey`. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** Name of the external interface: entries may lead through it, and end with its state. */
  readonly external?: string;
  /** True when devices with the names of Flannel's backends may be in use although they are not planned. */
  readonly keepDevices?: boolean;
}
