/**
 * The documents that the page's server sends and its client draws, all of them JSON. Types alone: this file is read by the
 * agent, the lab and the browser. Addresses, prefixes and MACs are text in the form of `ip`; times are ms since the epoch, by
 * the server's clock; counters are numbers that only grow while their interface lives. Every text may come from elsewhere in
 * the cluster (names of Nodes, errors): it is drawn as text, never as markup.
 */

/** `GET /api/overview`: what changes by itself, a few KB whatever the size of the cluster. Asked once a second or two. */
export interface Overview {
  readonly schema: 1;
  readonly version: string;
  /** Server's clock at the answer. */
  readonly now: number;
  readonly health: Health;
  /** Undefined until the agent knows its subnet. */
  readonly node?: NodeView;
  readonly peers?: PeerCounts;
  readonly rules?: RulesState;
  readonly pods: readonly PodView[];
  /** What could not be read, in words; the rest of the document holds. */
  readonly unread: readonly string[];
  /** The newest last. */
  readonly repairs: readonly RepairView[];
}

export interface Health {
  readonly state: 'ready' | 'waiting' | 'failing';
  /** What is waited for or wrong; empty when ready. */
  readonly reasons: readonly string[];
  readonly startedAt: number;
  /** The last full comparison with the kernel. */
  readonly lastPass?: {
    readonly at: number;
    readonly ms: number;
    readonly found: number;
    readonly errors: number;
  };
  /** Where Nodes or leases come from; `trouble` says why it does not answer. */
  readonly store: { readonly fromMemory: boolean; readonly trouble?: string };
}

/** This node. */
export interface NodeView {
  readonly name: string;
  readonly backend: string;
  readonly mtu: number;
  readonly subnets: readonly string[];
  readonly publicIps: readonly string[];
  readonly external: { readonly name: string; readonly mtu: number };
  /** Overlay devices as the kernel has them; `up` undefined: it is not there. */
  readonly devices: readonly DeviceView[];
  readonly addresses: readonly {
    readonly subnet: string;
    readonly used: number;
    readonly capacity: number;
  }[];
}

export interface DeviceView {
  readonly name: string;
  readonly up?: boolean;
  readonly mac?: string;
  readonly vni?: number;
  readonly port?: number;
  readonly addresses: readonly string[];
  readonly counters?: Counters;
}

/** Of an interface, as it counts itself. */
export interface Counters {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly dropped: number;
}

export interface PeerCounts {
  readonly wanted: number;
  readonly programmed: number;
  readonly leftOut: number;
  /** Changes with every change of a peer: `GET /api/peers` is worth asking again. */
  readonly revision: number;
}

export interface RulesState {
  readonly mode: 'nftables' | 'iptables';
  readonly state: 'ok' | 'failed' | 'unknown';
  readonly error?: string;
}

/** An interface on this node's bridge, or a reservation without one. */
export interface PodView {
  readonly addresses: readonly string[];
  readonly container?: string;
  readonly interface?: string;
  readonly network?: string;
  readonly veth?: string;
  readonly up?: boolean;
  readonly mac?: string;
  readonly namespace: 'alive' | 'gone' | 'unknown';
  /** As the pod counts: received is what reached the pod. */
  readonly counters?: Counters;
  /** The pod's name where the server knows it (in the lab). */
  readonly name?: string;
}

export interface RepairView {
  readonly at: number;
  /** By kind: link, address, route, neighbour, fdb, rules, sysctl, subnet_file, lease. */
  readonly counts: Readonly<Record<string, number>>;
  readonly what: string;
}

/** `GET /api/peers`: all peers, short. Answers 304 to `If-None-Match` while nothing changed. */
export interface PeerList {
  readonly schema: 1;
  readonly revision: number;
  readonly peers: readonly PeerView[];
}

export interface PeerView {
  readonly name: string;
  readonly subnets: readonly string[];
  /** Where its packets go: addresses on the underlay. */
  readonly publicIps: readonly string[];
  readonly vtepMac?: string;
  /** `direct`: by plain route, no tunnel. `refused`: the kernel did not take an entry. `left_out`: see `why`. */
  readonly state: 'tunnel' | 'direct' | 'refused' | 'left_out';
  readonly why?: string;
}

/** `GET /api/peers/<name, percent-encoded>`: one peer, compared with the kernel now. 404 when there is none. */
export interface PeerDetail extends PeerView {
  readonly entries: readonly EntryView[];
}

export interface EntryView {
  readonly type: 'route' | 'neighbour' | 'fdb';
  /** In the form of `ip route`, `ip neigh`, `bridge fdb`. */
  readonly text: string;
  /** `other`: something else is in its place, see `found`. */
  readonly state: 'present' | 'missing' | 'other' | 'refused' | 'unread';
  readonly found?: string;
}

/** `POST /api/peers/<name>/probe`: one echo request through the overlay and one beside it, per family; bounded in time. */
export interface ProbeView {
  readonly at: number;
  readonly results: readonly {
    readonly over: 'overlay' | 'underlay';
    readonly from: string;
    readonly to: string;
    /** Round trip, ms; undefined: no answer, see `why`. */
    readonly ms?: number;
    readonly why?: string;
  }[];
}

/** `GET /api/rules`: this node's traffic rules in the order in which a packet meets them. */
export interface RulesView {
  readonly schema: 1;
  readonly mode: 'nftables' | 'iptables';
  readonly families: readonly {
    readonly family: 'ipv4' | 'ipv6';
    readonly chains: readonly {
      readonly name: 'postrouting' | 'forward';
      /** `text` is the rule in `nft` or `iptables` form; `why` in words what it is for. */
      readonly rules: readonly { readonly text: string; readonly why: string }[];
    }[];
  }[];
  /** Differences from the kernel; empty when all is as planned. */
  readonly differences: readonly string[];
}

/** `GET /api/lab`, in the lab alone: all nodes at once. Each with what its own agent says. */
export interface LabView {
  readonly schema: 1;
  readonly name: string;
  readonly now: number;
  readonly backend: string;
  readonly nodes: readonly LabNode[];
  /** Names that a walk may start from or end at: pods, nodes, `world`. */
  readonly places: readonly string[];
}

export interface LabNode {
  readonly name: string;
  readonly ip: string;
  readonly agent: 'running' | 'down';
  /** Undefined while its agent does not answer. */
  readonly overview?: Overview;
  /** Its peers, by state. */
  readonly peers: readonly PeerView[];
}

/** `POST /api/walks` with `{"from": …, "to": …}`, in the lab alone: one packet, recorded at every device. */
export interface WalkView {
  readonly schema: 1;
  readonly from: string;
  readonly to: string;
  readonly request: readonly HopView[];
  readonly reply: readonly HopView[];
  readonly arrived: boolean;
  readonly error?: string;
}

export interface HopView {
  readonly place: { readonly kind: 'pod' | 'node' | 'world' | 'underlay'; readonly name: string };
  readonly device: string;
  readonly outgoing: boolean;
  /** Since the first hop, µs. */
  readonly us: number;
  /** The packet: addresses, ports, TTL; inner and outer lines where it is wrapped. */
  readonly packet: readonly string[];
  /** Whether it is wrapped in VXLAN here. */
  readonly wrapped: boolean;
  /** Why it went here. */
  readonly why: string;
}

/** Every answer that is no success. */
export interface Problem {
  readonly error: string;
  readonly cure?: string;
}
