import type { Overlay, OverlayPeer } from '#daemon/inspect/overlay.ts';
import type { VxlanLink } from '#host/plan.ts';
import type { Ip } from '#net/ip.ts';
import { NotAsked } from '../finding.ts';
import type { Facts } from './facts.ts';

/** One family of a peer, as it is reached. */
export interface PeerSide {
  readonly name: string;
  /** Where outer packets, or with a direct route all packets, are sent to. */
  readonly publicIp: Ip;
  /** The address of its VXLAN device, which every node with the vxlan backend answers; undefined with another backend. */
  readonly vtep: Ip | undefined;
  /** Our device of this family; undefined without one. */
  readonly link: VxlanLink | undefined;
}

/** Peers to send probes to, spread over all of them when there are more than are wanted. Throws NotAsked when there are none. */
export async function peersToProbe(
  facts: Facts,
): Promise<{ readonly sides: readonly PeerSide[]; readonly all: number }> {
  const overlay = await facts.overlay();
  const peers = [...overlay.peers].filter(([, { entries }]) => entries.length > 0);
  if (peers.length === 0) throw new NotAsked('there is no other node');
  const { peers: most } = facts.options;
  if (most === 0) throw new NotAsked('--peers is 0');
  const step = Math.max(1, peers.length / most);
  const chosen = Array.from(
    { length: Math.min(most, peers.length) },
    (_, at) => peers[Math.floor(at * step)],
  );
  const sides = chosen.flatMap((peer) => (peer === undefined ? [] : sidesOf(peer[0], peer[1], overlay)));
  return { sides, all: peers.length };
}

/** Every peer that is reached, in each of its families. */
export function allSides(overlay: Overlay): readonly PeerSide[] {
  return [...overlay.peers].flatMap(([name, peer]) => sidesOf(name, peer, overlay));
}

/** The route says where to; through our device the FDB entry of its neighbour's MAC says by whom. */
function sidesOf(name: string, { entries }: OverlayPeer, overlay: Overlay): PeerSide[] {
  const { links } = overlay.devices;
  return entries.flatMap((route): PeerSide[] => {
    if (route.type !== 'route') return [];
    const { family } = route.dst;
    const link = links.find(({ local }) => local.family === family);
    const vtep = link === undefined ? undefined : route.dst.first();
    if (route.link !== link?.name) return [{ name, publicIp: route.gateway, vtep, link }];
    const fdb = entries.find((entry) => entry.type === 'fdb' && entry.link === route.link);
    return fdb?.type === 'fdb' ? [{ name, publicIp: fdb.dst, vtep, link }] : [];
  });
}
