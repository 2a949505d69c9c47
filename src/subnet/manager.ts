import type { Cidr } from '#net/cidr.ts';
import type { Ip } from '#net/ip.ts';
import type { NetworkConfig } from './config.ts';
import type { Lease, LeftOutReason, PerFamily } from './lease.ts';

/** What the store already knows of this node before the backend is set up. */
export interface OwnRecord {
  /** This node's name in the store. */
  readonly name: string;
  /** This node's pod subnets: networks. */
  readonly subnets: PerFamily<Cidr>;
  /** `backend-type` of an earlier run. */
  readonly backendType: string | undefined;
  /** `backend-data` of an earlier run, raw JSON, untrusted: the MAC is taken from it. */
  readonly backendData: PerFamily<string>;
  /** Operator's wish for the public address (`node-public-ip`); flags win over it. */
  readonly publicIp: PerFamily<Ip>;
}

/** What this node tells its peers. */
export interface OwnAttributes {
  readonly backendType: string;
  readonly publicIp: PerFamily<Ip>;
  /** Raw JSON, e.g. `{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}` or `null`. */
  readonly backendData: PerFamily<string>;
}

/** Peers only: this node's own lease is never reported. */
export type LeaseEvent =
  /** The whole truth, replacing all before it: after a list. */
  | { readonly type: 'reset'; readonly leases: ReadonlyMap<string, Lease> }
  | { readonly type: 'put'; readonly lease: Lease }
  | { readonly type: 'delete'; readonly name: string };

/** The source of subnets and leases: Kubernetes Nodes or etcd. */
export interface SubnetManager {
  readonly kind: 'kube' | 'etcd';
  /** Waits without end (with back-off, telling the log why) until this node has a subnet. */
  own(config: NetworkConfig, signal: AbortSignal): Promise<OwnRecord>;
  /** Publishes and from then on asserts `attributes` (again after somebody wiped them). */
  publish(attributes: OwnAttributes, signal: AbortSignal): Promise<void>;
  /** Runs until aborted; reconnects by itself. `onEvent` is called in order and must not throw. */
  watch(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void>;
  /** Says that the network of this node is up (Kubernetes: condition NetworkUnavailable=False). */
  announceReady(signal: AbortSignal): Promise<void>;
  /** ms on the monotonic clock since the store was last heard of; undefined before the first time. */
  lastContact(): number | undefined;
  /** What the store's last failure was, in words; undefined while it answers. */
  trouble?(): string | undefined;
  /** True while the leases are those of an earlier run, because the store has not listed its own yet. */
  fromMemory?(): boolean;
  /** Peers that are not, or not with all families, in the events, by name: what they publish cannot be used. A live view. */
  leftOut(): ReadonlyMap<string, LeftOutReason>;
}
