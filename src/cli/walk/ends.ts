import { FlannelError } from '#base/errors.ts';
import type { Entry, RouteEntry } from '#host/plan.ts';
import type { Cidr } from '#net/cidr.ts';
import { FAMILIES } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { nearest } from '#subnet/nearest.ts';
import type { Pod } from '#daemon/inspect/pods.ts';
import type { Start } from './dry.ts';

/** What names and addresses are looked up in. */
export interface Surroundings {
  /** Name of this node; undefined when nobody says it. */
  readonly node: string | undefined;
  /** Its own addresses, those that peers send to first. */
  readonly addresses: readonly Ip[];
  /** Its pod subnets. */
  readonly subnets: readonly Cidr[];
  readonly pods: readonly Pod[];
  /** Addresses of the other nodes by name. */
  readonly peers: ReadonlyMap<string, readonly Ip[]>;
  /** The peer that an address is of: its own, or one of its pods'. */
  readonly peerOf: (ip: Ip) => string | undefined;
  /** The planned route to the pods of a peer that an address belongs to. */
  readonly plannedRoute: (ip: Ip) => RouteEntry | undefined;
  /** What is planned for a peer, all families. */
  readonly plannedFor: (peer: string) => readonly Entry[];
  /** True for an address of the pod network of which the plan knows no node. */
  readonly isNobodys: (ip: Ip) => boolean;
  /** Why there is no plan: then peers have no names, and any way is as good as another. */
  readonly noPlan?: string;
  /** UDP port of the overlay. */
  readonly vxlanPort: number;
}

/** Both ends as addresses of one family, and where this node sees the packet first. */
export interface Ends {
  readonly source: Ip;
  readonly destination: Ip;
  readonly start: Start;
}

/** Finds both ends: addresses, prefixes of container ids, names of nodes. Throws FlannelError that says what there is. */
export function findEnds(from: string, to: string, around: Surroundings): Ends {
  const [sources, destinations] = [addressesOf(from, around), addressesOf(to, around)];
  for (const ip of [...sources, ...destinations]) refuseMany(ip);
  for (const family of FAMILIES) {
    const source = sources.find((ip) => ip.family === family);
    const destination = destinations.find((ip) => ip.family === family);
    if (source === undefined || destination === undefined) continue;
    return { source, destination, start: startOf({ source, destination }, around) };
  }
  throw new FlannelError('operator', `${from} and ${to} have no address of the same family`, {
    cure: 'Give two IPv4 or two IPv6 addresses',
  });
}

/** A walk follows one packet from one sender to one receiver. */
function refuseMany(ip: Ip): void {
  const kind = ip.isMulticast()
    ? 'a multicast address'
    : ip.isUnspecified()
      ? 'no address of anybody'
      : undefined;
  if (kind !== undefined)
    throw new FlannelError('operator', `${ip} is ${kind}: a walk leads from one place to one other`);
}

function startOf({ source, destination }: Pick<Ends, 'source' | 'destination'>, around: Surroundings): Start {
  const here = (ip: Ip) => around.addresses.some((address) => address.equals(ip));
  const pods = (ip: Ip) => hasPod(ip, around) || around.subnets.some((subnet) => subnet.contains(ip));
  if (source.equals(destination)) throw new FlannelError('operator', 'a walk needs two different ends');
  if (here(source)) return 'node';
  if (pods(source)) return 'pod';
  if (here(destination) || pods(destination)) return 'elsewhere';
  throw new FlannelError('operator', `neither ${source} nor ${destination} is on this node`, {
    cure: 'Run it on the node of one of them, or begin with one of "flannelctl pods"',
  });
}

function hasPod(ip: Ip, { pods }: Surroundings): boolean {
  return pods.some(({ addresses }) => addresses.some((address) => address.equals(ip)));
}

function addressesOf(text: string, around: Surroundings): readonly Ip[] {
  const ip = Ip.tryParse(text);
  if (ip !== undefined) return [ip];
  if (text !== '' && text === around.node) return around.addresses;
  const peer = around.peers.get(text);
  if (peer !== undefined && peer.length > 0) return peer;
  if (peer !== undefined)
    throw new FlannelError(
      'operator',
      `nothing is planned for the peer ${text}, so its address is not known`,
      {
        cure: 'flannelctl peers says why',
      },
    );
  return podAddresses(text, around);
}

/** By a prefix of the container's id. */
function podAddresses(text: string, around: Surroundings): readonly Ip[] {
  const found = around.pods.filter(({ container }) => text !== '' && container?.startsWith(text) === true);
  const containers = new Set(found.map(({ container }) => container));
  const [first] = found;
  if (first !== undefined && containers.size === 1) return first.addresses;
  const shown = JSON.stringify(text.slice(0, 64));
  if (containers.size > 1)
    throw new FlannelError('operator', `${shown} is the beginning of ${containers.size} container ids`, {
      cure: 'Give more of it',
    });
  const names = [...around.peers.keys(), ...(around.node === undefined ? [] : [around.node])];
  const near = nearest(text, names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw new FlannelError('operator', `${shown} is no address, no container of this node and no node${hint}`, {
    cure: 'flannelctl pods and flannelctl peers list them',
  });
}
