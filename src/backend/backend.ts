import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import type { Entry, VxlanLink } from '#host/plan.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { Lease, LeftOutReason, PerFamily } from '#subnet/lease.ts';
import type { OwnRecord } from '#subnet/manager.ts';

/** The interface that outer packets leave by. */
export interface ExternalInterface {
  readonly name: string;
  /** Bytes. */
  readonly mtu: number;
  /** Its own address in each enabled family. */
  readonly addresses: PerFamily<Ip>;
  /** What peers send to: its address unless an operator said otherwise. */
  readonly publicIps: PerFamily<Ip>;
}

/** Everything a backend's decisions depend on. */
export interface BackendContext {
  readonly config: NetworkConfig;
  readonly external: ExternalInterface;
  readonly own: OwnRecord;
  /** MAC of a device that already exists under this name. */
  readonly liveMac: (link: string) => Mac | undefined;
  /** Six random bytes. */
  readonly randomMac: () => Uint8Array;
  /** `--vxlan-tx-checksum` on or off; undefined (auto): the devices keep what they have. */
  readonly txChecksum?: boolean | undefined;
  /** True when a packet to `ip` leaves through the external interface without a gateway. */
  readonly isOnLink: (ip: Ip) => boolean;
}

/** Why a peer is left out. */
export interface Refusal {
  readonly kind: LeftOutReason;
  /** In words, for the log. */
  readonly reason: string;
}

/** A family of a peer that is left out. */
export interface Rejection extends Refusal {
  readonly family: Family;
}

/** What a peer's lease comes to: entries for the kernel, and families left out with the reason. */
export interface PeerPlan {
  readonly entries: readonly Entry[];
  readonly rejected: readonly Rejection[];
  /** Subnets that packets must not be sent to, not by the default route either. */
  readonly unreachable?: readonly Cidr[];
}

/** A backend is a plan: pure functions of leases. The reconciler is the only one that writes. */
export interface Backend {
  /** `backend-type` in the annotations. */
  readonly type: string;
  /** FLANNEL_MTU, bytes. */
  readonly mtu: number;
  readonly links: readonly VxlanLink[];
  /** `backend-data` in the annotations: raw JSON. */
  readonly backendData: PerFamily<string>;
  /** True when `peer` asks whether peers are on the link: it is asked again when routes of the host have changed. */
  readonly asksRoutes?: boolean;
  peer(lease: Lease): PeerPlan;
}
