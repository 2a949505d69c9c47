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

/** A program to run: by argument vector, never by a shell. */
export interface Command {
  /** The configuration key that it comes from, for the log. */
  readonly what: string;
  readonly argv: readonly string[];
  /** Beside PATH its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** What commands for one peer are told of it: parsed and checked. */
export interface PeerFacts {
  /** Environment. */
  readonly values: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** Commands that a backend has beside its plan. The daemon runs them: at start, and for each peer that has facts. */
export interface BackendCommands {
  /** Before the lease is published. */
  readonly before: Command | undefined;
  /** `backend-data` with the output of `before`. Throws ConfigError when it cannot be published. */
  published(output: string): PerFamily<string>;
  /** After the lease is published. */
  readonly after: Command | undefined;
  add(facts: PeerFacts): Command | undefined;
  remove(facts: PeerFacts): Command | undefined;
}

/** What a peer's lease comes to: entries for the kernel, and families left out with the reason. */
export interface PeerPlan {
  readonly entries: readonly Entry[];
  readonly rejected: readonly Rejection[];
  /** Subnets that packets must not be sent to, not by the default route either. */
  readonly unreachable?: readonly Cidr[];
  /** For the backend's commands; missing where they are not run for this peer. */
  readonly facts?: PeerFacts;
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
  /** True when devices with the names of Flannel's backends may be in use although they are not planned. */
  readonly keepsDevices?: boolean;
  readonly commands?: BackendCommands;
  peer(lease: Lease): PeerPlan;
}
