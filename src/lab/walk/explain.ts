import { Cidr } from '#net/cidr.ts';
import { innermost, type Packet } from '../packet/decode.ts';
import { POD_NETWORK } from '../state/address-plan.ts';
import { routeFor, routeText, type Facts } from './facts.ts';
import type { Hop } from './hop.ts';

/** Outer Ethernet 14, IPv4 20 or IPv6 40, UDP 8, VXLAN 8 bytes. */
const OVERHEAD = { ipv4: 50, ipv6: 70 } as const;

/**
 * Why the packet is at this hop and where it goes next, in one sentence, from what the kernel there knows. `before` is
 * the hop that came before.
 */
export function explain(hop: Hop, before: Hop | undefined): string {
  switch (hop.place.kind) {
    case 'pod':
      return explainPod(hop);
    case 'node':
      return explainNode(hop, before);
    case 'underlay':
      return explainUnderlay(hop);
    case 'world':
      return hop.outgoing
        ? 'the world answers the address it saw'
        : `arrived: the world sees ${hop.packet.ip?.source}, an address it can answer; pod addresses mean nothing here`;
  }
}

function explainPod({ outgoing, packet, facts }: Hop): string {
  const { ip } = packet;
  if (ip === undefined) return '';
  if (!outgoing) return `arrived: the pod sees ${ip.source} as the sender`;
  const route = routeFor(facts, ip.destination);
  if (route === undefined) return 'the pod has no route';
  if (route.gateway === undefined)
    return `pod route ${routeText(facts, route)}: ${ip.destination} is on the same bridge, ARP gives its own MAC`;
  return `pod route ${routeText(facts, route)}: the frame goes to the MAC of ${route.gateway}, the node's cni0`;
}

function explainNode(hop: Hop, before: Hop | undefined): string {
  const { device, outgoing, packet } = hop;
  if (packet.vxlan !== undefined) return outgoing ? wrapped(hop, packet) : unwrapped(hop, packet);
  if (device.kind === 'vxlan') return outgoing ? routedToOverlay(hop) : fromOverlay(hop);
  if (device.bridge !== undefined) return outgoing ? bridgePortOut(hop) : bridgePortIn(hop);
  if (device.kind === 'bridge') return outgoing ? routedToBridge(hop) : upFromBridge(hop);
  return outgoing ? routedOut(hop, before) : cameIn(hop);
}

function wrapped({ device, facts }: Hop, packet: Packet): string {
  const inner = innermost(packet);
  const entry = facts.fdb.find(({ mac }) => mac.equals(inner.destination));
  const known =
    entry?.dst === undefined
      ? 'the VXLAN device sent it'
      : `FDB of ${entry.device}: ${inner.destination} is behind ${entry.dst}`;
  const route = packet.ip === undefined ? undefined : routeFor(facts, packet.ip.destination);
  const way = route === undefined ? device.name : routeText(facts, route);
  return `${known}, so it is wrapped in UDP ${packet.udp?.destinationPort} (${OVERHEAD[packet.ip?.source.family ?? 'ipv4']} bytes more) and leaves by ${way}`;
}

function unwrapped({ facts }: Hop, packet: Packet): string {
  const vtep = facts.devices.find((device) => device.kind === 'vxlan')?.name ?? 'the VXLAN device';
  return `UDP ${packet.udp?.destinationPort} for this node: VNI ${packet.vxlan?.vni} belongs to ${vtep}, which takes the wrapping off`;
}

function routedToOverlay({ device, packet, facts }: Hop): string {
  const { ip } = packet;
  const route = ip === undefined ? undefined : routeFor(facts, ip.destination);
  if (route === undefined) return `it leaves by ${device.name}`;
  const neighbour = facts.neighbours.find(
    (entry) => entry.device === device.name && route.gateway !== undefined && entry.ip.equals(route.gateway),
  );
  const mac =
    neighbour?.mac === undefined ? '' : `; neighbour ${neighbour.ip} is ${neighbour.mac}, the peer's VTEP`;
  return `node route ${routeText(facts, route)}${mac}`;
}

function fromOverlay({ device, packet }: Hop): string {
  const own = packet.destination.equals(device.mac)
    ? 'the inner frame is for its own MAC'
    : 'the inner frame came out';
  return `${own}: the packet goes to this node's routing`;
}

function bridgePortIn({ device, packet, facts }: Hop): string {
  const bridge = facts.devices.find(({ name }) => name === device.bridge);
  const next = packet.destination.equals(bridge?.mac)
    ? `the frame is for ${device.bridge} itself, so it goes up to the node`
    : `${device.bridge} looks for the port of ${packet.destination}`;
  return `the node's end of the pod's cable, a port of ${device.bridge}: ${next}`;
}

function bridgePortOut({ device, packet }: Hop): string {
  return `${device.bridge} has learned that ${packet.destination} is behind this port`;
}

function upFromBridge({ device, packet, facts }: Hop): string {
  const { ip } = packet;
  if (ip !== undefined && isOwn(facts, packet))
    return `${ip.destination} is this node's own address: delivered to its host network`;
  return `${device.name} is the pods' gateway: the packet enters the node's routing`;
}

function routedToBridge({ device, packet, facts }: Hop): string {
  const { ip } = packet;
  const route = ip === undefined ? undefined : routeFor(facts, ip.destination);
  const how = route === undefined ? `it leaves by ${device.name}` : `node route ${routeText(facts, route)}`;
  return `${how}; ARP: ${ip?.destination} is ${packet.destination}`;
}

/** Out of the node's own eth0, not wrapped: to the world or to another node's own address. */
function routedOut({ packet, facts }: Hop, before: Hop | undefined): string {
  const { ip, udp } = packet;
  if (ip === undefined) return '';
  const route = routeFor(facts, ip.destination);
  const how = route === undefined ? '' : `node route ${routeText(facts, route)}`;
  const earlier = before === undefined ? undefined : innermost(before.packet);
  if (earlier?.ip === undefined || earlier.ip.source.equals(ip.source)) return how;
  const from = `${earlier.ip.source}:${earlier.udp?.sourcePort}`;
  return `${how}; source in the pod network, destination outside: masqueraded, ${from} became ${ip.source}:${udp?.sourcePort}`;
}

function cameIn({ packet, facts }: Hop): string {
  if (!isOwn(facts, packet)) return 'it comes in and is routed on';
  return `addressed to this node: its host network takes it, or connection tracking gives it its pod address back`;
}

function isOwn(facts: Facts, packet: Packet): boolean {
  return facts.addresses.some(({ ip }) => packet.ip !== undefined && ip.equals(packet.ip.destination));
}

function explainUnderlay({ device, outgoing, packet, facts }: Hop): string {
  if (device.bridge !== undefined)
    return outgoing
      ? `the switch knows the port of ${packet.destination}`
      : `the underlay switch: ${onTheWire(packet)}`;
  if (device.kind === 'bridge')
    return outgoing
      ? 'the router sends it back to the nodes'
      : "the frame is for the underlay's router, the nodes' default gateway";
  const route = packet.ip === undefined ? undefined : routeFor(facts, packet.ip.destination);
  if (!outgoing) return 'the answer reaches the router';
  return route === undefined ? 'the router sends it out' : `router: ${routeText(facts, route)}`;
}

function onTheWire({ vxlan, ip }: Packet): string {
  if (vxlan !== undefined) return 'it sees only the nodes, not the pods';
  const pods = Cidr.parse(POD_NETWORK);
  const bare = ip !== undefined && pods.contains(ip.source) && pods.contains(ip.destination);
  return bare
    ? "it sees the pods' addresses between the MACs of the nodes"
    : 'it sees the node, not the pods';
}
