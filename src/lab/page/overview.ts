import type { AgentStatus } from '#daemon/inspect/agent-status.ts';
import type { Overlay, OverlayPeer } from '#daemon/inspect/overlay.ts';
import { entryKey } from '#host/plan.ts';
import type { DeviceView, Health, NodeView, Overview, PeerView, PodView } from '#page/model.ts';
import type { Address } from '#rtnetlink/address.ts';
import type { Link } from '#rtnetlink/link.ts';
import { countersOf } from '#daemon/page/devices.ts';

/** What a node's agent and kernel say, read one after the other. */
export interface NodeReading {
  readonly status: AgentStatus;
  /** Undefined until its agent knows the subnet. */
  readonly overlay: Overlay | undefined;
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  readonly pods: readonly PodView[];
  readonly room: NodeView['addresses'];
  /** Wall clock, ms. */
  readonly now: number;
}

/** A node of the lab, as its own agent shows it. Pure. */
export function overviewOf(reading: NodeReading): Overview {
  const { status, overlay, now, pods } = reading;
  const { rules, peers, repairs } = status;
  const node = nodeOf(reading);
  return {
    schema: 1,
    version: status.version,
    now,
    health: healthOf(status),
    ...(node === undefined ? {} : { node }),
    ...(peers === undefined
      ? {}
      : {
          peers: {
            wanted: peers.wanted,
            programmed: peers.programmed,
            leftOut: peers.wanted - peers.programmed,
            revision: Bun.hash.crc32(JSON.stringify(overlay === undefined ? [] : peersOf(overlay))),
          },
        }),
    ...(rules === undefined
      ? {}
      : {
          rules: {
            mode: rules.mode === 'iptables' ? 'iptables' : 'nftables',
            state: rules.state === 'ok' || rules.state === 'failed' ? rules.state : 'unknown',
            ...(rules.error === undefined ? {} : { error: rules.error }),
          },
        }),
    pods,
    unread: [],
    repairs: repairs.map(({ at, counts, what }) => ({ at: Date.parse(at), counts, what })),
  };
}

function healthOf({ ready, reason, startedAt, lastPass, rules, store }: AgentStatus): Health {
  const failing = rules?.state === 'failed' || (lastPass !== undefined && lastPass.errors > 0);
  return {
    state: ready ? 'ready' : failing ? 'failing' : 'waiting',
    reasons: ready ? [] : [reason],
    startedAt: Date.parse(startedAt),
    ...(lastPass === undefined ? {} : { lastPass: { ...lastPass, at: Date.parse(lastPass.at) } }),
    store: {
      fromMemory: store.fromMemory,
      ...(store.trouble === undefined ? {} : { trouble: store.trouble }),
    },
  };
}

function nodeOf(reading: NodeReading): NodeView | undefined {
  const { node, lease, mtu, external } = reading.status;
  if (node === undefined || lease === undefined || mtu === undefined || external === undefined)
    return undefined;
  return {
    name: node,
    backend: lease.backend,
    mtu,
    subnets: Object.values(lease.subnets),
    publicIps: Object.values(lease.publicIps),
    external,
    devices: reading.overlay?.devices.links.map(({ name }) => deviceOf(name, reading)) ?? [],
    addresses: reading.room,
  };
}

function deviceOf(name: string, { links, addresses }: NodeReading): DeviceView {
  const link = links.find((each) => each.name === name);
  if (link === undefined) return { name, addresses: [] };
  const { up, mac, kind, stats } = link;
  return {
    name,
    up,
    ...(mac === undefined ? {} : { mac: mac.toString() }),
    ...(kind?.type === 'vxlan' ? { vni: kind.vni, port: kind.port } : {}),
    addresses: addresses.filter((each) => each.link === link.index).map(({ cidr }) => cidr.toString()),
    ...(stats === undefined ? {} : { counters: countersOf(stats) }),
  };
}

/** The peers of a plan, in its order. */
export function peersOf(overlay: Overlay): PeerView[] {
  const refused = new Set(overlay.refused);
  return [...overlay.peers].map(([name, peer]) => peerOf(name, peer, refused));
}

function peerOf(name: string, { entries, leftOut }: OverlayPeer, refused: ReadonlySet<string>): PeerView {
  const subnets: string[] = [];
  const publicIps = new Set<string>();
  let vtepMac: string | undefined;
  for (const entry of entries) {
    if (entry.type === 'neighbour') vtepMac ??= entry.mac.toString();
    else if (entry.type === 'fdb') publicIps.add(entry.dst.toString());
    else {
      subnets.push(entry.dst.toString());
      // Without a tunnel the gateway is the peer itself.
      if (!entry.onlink) publicIps.add(entry.gateway.toString());
    }
  }
  const tunnel = entries.some(({ type }) => type === 'fdb');
  const kept = entries.some((entry) => refused.has(entryKey(entry)));
  return {
    name,
    subnets,
    publicIps: [...publicIps],
    ...(vtepMac === undefined ? {} : { vtepMac }),
    state: leftOut !== undefined ? 'left_out' : kept ? 'refused' : tunnel ? 'tunnel' : 'direct',
    ...(leftOut === undefined ? {} : { why: leftOut.why || leftOut.reason }),
  };
}
