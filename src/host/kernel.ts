import type { ErrnoError } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import type { Entry, VxlanLink } from './plan.ts';

/** A link as the reconciler sees it. */
export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** `vxlan`, `bridge`, `veth` …; undefined for a physical device. */
  readonly kind: string | undefined;
  readonly mtu: number;
  readonly mac: Mac | undefined;
  readonly up: boolean;
  /** Index of the bridge, bond or VRF that it is part of. */
  readonly master?: number | undefined;
  readonly vxlan: VxlanState | undefined;
}

export interface VxlanState {
  readonly vni: number;
  readonly port: number;
  readonly local: Ip | undefined;
  /** Where packets go that no FDB entry knows; ours has none. */
  readonly remote?: Ip | undefined;
  /** Index of the device below; undefined when there is none. */
  readonly parent: number | undefined;
  readonly learning: boolean;
  readonly gbp: boolean;
}

export interface HostAddress {
  readonly link: number;
  readonly cidr: Cidr;
  /** IFA_SCOPE: 0 global, 253 link. */
  readonly scope: number;
}

export interface HostNeighbour {
  readonly link: number;
  readonly ip: Ip;
  readonly mac: Mac | undefined;
  readonly permanent: boolean;
}

export interface HostFdb {
  readonly link: number;
  readonly mac: Mac;
  readonly dst: Ip | undefined;
  readonly permanent: boolean;
}

/** A route of the main table. */
export interface HostRoute {
  readonly dst: Cidr | undefined;
  readonly gateway: Ip | undefined;
  readonly link: number | undefined;
  readonly onlink: boolean;
  /** RTPROT_KERNEL: made by the kernel for an address, never ours. */
  readonly byKernel: boolean;
  readonly priority: number | undefined;
  /** Blackhole, unreachable, prohibit or throw: it leads nowhere. */
  readonly blocking?: boolean | undefined;
}

/** One change. Links are named; an adapter finds their index. */
export type KernelOp =
  | { readonly op: 'create-vxlan'; readonly link: VxlanLink }
  | { readonly op: 'delete-link'; readonly name: string }
  | {
      readonly op: 'set-link';
      readonly name: string;
      readonly mtu?: number;
      readonly mac?: Mac;
      readonly up?: true;
      /** Out of the bridge, bond or VRF that it is part of. */
      readonly leave?: true;
    }
  | { readonly op: 'set-tx-checksum'; readonly name: string; readonly on: boolean }
  | { readonly op: 'add-address'; readonly link: string; readonly cidr: Cidr }
  | { readonly op: 'delete-address'; readonly link: string; readonly cidr: Cidr }
  | { readonly op: 'add-blackhole'; readonly dst: Cidr }
  | { readonly op: 'delete-blackhole'; readonly dst: Cidr }
  /** Removes somebody else's route from the place of one of ours. */
  | { readonly op: 'evict'; readonly route: HostRoute }
  | { readonly op: 'put'; readonly entry: Entry }
  | { readonly op: 'remove'; readonly entry: Entry };

/** The kernel's network state: the reconciler's only way in and out. */
export interface KernelPort {
  links(): HostLink[];
  /** The feature `tx-checksum-ip-generic` of a link (`ethtool -k`). Throws ENODEV, and EOPNOTSUPP on old kernels. */
  txChecksum(name: string): boolean;
  addresses(link: number): HostAddress[];
  neighbours(link: number, family: Family): HostNeighbour[];
  fdb(link: number): HostFdb[];
  /** Routes of the main table, optionally out of one link only. */
  routes(family: Family, link?: number): HostRoute[];
  /** Destinations of the blackhole routes with `BLACKHOLE_PRIORITY` in the main table. */
  blackholes(family: Family): Cidr[];
  /** Makes the changes in order, batched; one place per change: undefined, or the kernel's answer. */
  apply(ops: readonly KernelOp[]): (ErrnoError | undefined)[];
  /**
   * Settings of a link that are no attributes: `accept_ra` 0, and IPv6 on for a link that is to have addresses of it. Says
   * what it changed.
   */
  settleLink(name: string, family: Family): readonly string[];
}
