import { FlannelError, isNotFound } from '#base/errors.ts';
import { readText } from '#ffi/file-system.ts';
import { Netns } from '#ffi/netns.ts';
import { isThere } from '#ipam/origin.ts';
import { Store, type Kept } from '#ipam/store.ts';
import { networks } from '#ipam/sweep.ts';
import { FAMILIES } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';

/** One interface of a container on the bridge, or what is left of one. */
export interface Pod {
  readonly addresses: readonly Ip[];
  /** Undefined: nobody has reserved an address for it. */
  readonly container: string | undefined;
  readonly interface: string | undefined;
  readonly network: string | undefined;
  /** The node's end of its cable. */
  readonly veth: string | undefined;
  readonly up: boolean | undefined;
  readonly mac: Mac | undefined;
  /** Whether the reservation was made in this boot; undefined: nothing says so. */
  readonly sinceBoot: boolean | undefined;
  readonly namespace: 'alive' | 'gone' | 'unknown';
  /** The namespace's file. */
  readonly netns: string | undefined;
}

/** What the pods are read from. */
export interface PodSources {
  readonly ports: readonly Link[];
  readonly reservations: readonly Reservation[];
  /** The other end of a container's interface; undefined when its namespace cannot be entered. */
  readonly cableOf: (
    kept: Kept,
  ) => { readonly peer: number | undefined; readonly mac: Mac | undefined } | undefined;
  /** Where no namespace is entered: whether it is there. */
  readonly isAlive?: (kept: Kept) => boolean;
  /** Which MAC an address has, as this node last heard. */
  readonly macOf: (ip: Ip) => Mac | undefined;
  /** Index of the port behind which a MAC is. */
  readonly portOf: (mac: Mac) => number | undefined;
}

export interface Reservation extends Kept {
  readonly network: string;
}

/** Joins ports and reservations, by the namespace where it is known, else by what node and bridge have heard. Pure. */
export function joinPods(sources: PodSources): Pod[] {
  const left = new Map(sources.ports.map((port) => [port.index, port]));
  const pods = attachments(sources.reservations).map((group): Pod => {
    const [first] = group;
    const cable = sources.cableOf(first);
    const heard = group.map(({ ip }) => sources.macOf(ip)).find((mac) => mac !== undefined);
    const mac = cable?.mac ?? heard;
    const index = cable === undefined ? mac && sources.portOf(mac) : cable.peer;
    const port = sources.ports.find((each) => each.index === index);
    if (port !== undefined) left.delete(port.index);
    const { holder, network, sinceBoot, netns, gone } = first;
    const alive = cable !== undefined || sources.isAlive?.(first) === true;
    return {
      addresses: group.map(({ ip }) => ip),
      container: holder.containerId,
      interface: holder.ifName,
      network,
      veth: port?.name,
      up: port?.up,
      mac,
      sinceBoot,
      namespace: gone || sinceBoot === false ? 'gone' : netns === undefined || !alive ? 'unknown' : 'alive',
      netns: netns?.path,
    };
  });
  return [...pods, ...[...left.values()].map(stranger)];
}

/** A port of the bridge that no reservation belongs to. */
function stranger({ name, up }: Link): Pod {
  return {
    addresses: [],
    container: undefined,
    interface: undefined,
    network: undefined,
    veth: name,
    up,
    mac: undefined,
    sinceBoot: undefined,
    namespace: 'unknown',
    netns: undefined,
  };
}

/** Reservations of one container's interface in one network, IPv4 first; by address. */
function attachments(all: readonly Reservation[]): (readonly [Reservation, ...Reservation[]])[] {
  const groups = new Map<string, [Reservation, ...Reservation[]]>();
  const inOrder = all.toSorted((a, b) => order(a.ip, b.ip));
  for (const each of inOrder) {
    const key = `${each.network} ${each.holder.containerId} ${each.holder.ifName ?? ''}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return [...groups.values()];
}

function order(a: Ip, b: Ip): number {
  return a.family === b.family ? a.compare(b) : a.family === 'ipv4' ? -1 : 1;
}

/** The reservations below host-local's folder. Throws FlannelError when they cannot be read. */
export function reservationsIn(dir: string): Reservation[] {
  const bootId = readText('/proc/sys/kernel/random/boot_id').trim();
  return networks(dir).flatMap((network) => {
    try {
      return Store.list(`${dir}/${network}`, bootId).map((kept) => ({ ...kept, network }));
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  });
}

/** The pods of this node: ports of its bridge and reservations. No bridge: reservations alone. */
export function podsOf(
  net: Rtnetlink,
  options: {
    readonly bridge: string;
    readonly ipamDir: string;
    /** False where this thread must not change its namespace: less is known then. */
    readonly enter?: boolean;
  },
): Pod[] {
  const bridge = net.link(options.bridge);
  const common = {
    reservations: reservationsIn(options.ipamDir),
    ...(options.enter === false ? { cableOf: () => undefined, isAlive } : { cableOf }),
  };
  if (bridge === undefined)
    return joinPods({ ...common, ports: [], macOf: () => undefined, portOf: () => undefined });
  const heard = FAMILIES.flatMap((family) => net.neighbours({ link: bridge.index, family }));
  const macs = new Map(
    heard.flatMap(({ ip, mac }) => (mac === undefined ? [] : [[ip.toString(), mac] as const])),
  );
  const places = new Map(net.bridgeFdb(bridge.index).map(({ mac, link }) => [mac.toString(), link]));
  return joinPods({
    ...common,
    ports: net.links().filter(({ master }) => master === bridge.index),
    macOf: (ip) => macs.get(ip.toString()),
    portOf: (mac) => places.get(mac.toString()),
  });
}

function isAlive({ netns }: Kept): boolean {
  return netns !== undefined && isThere(netns);
}

/** Looks into the namespace that the reservation was made for, if it is still that one. */
function cableOf({ holder, netns, gone }: Kept) {
  if (netns === undefined || gone || holder.ifName === undefined) return undefined;
  try {
    using open = Netns.tryOpen(netns.path);
    if (open === undefined) return undefined;
    using net = Rtnetlink.openIn(open);
    const link = net.link(holder.ifName);
    return { peer: link?.parent, mac: link?.mac };
  } catch (error) {
    // Gone in this very moment, or a file that is no namespace.
    if (error instanceof FlannelError && error.actor !== 'bug') return undefined;
    throw error;
  }
}
