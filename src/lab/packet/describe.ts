import type { Packet } from './decode.ts';

const ICMP_NAMES: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'destination unreachable',
  8: 'echo request',
  11: 'time exceeded',
  128: 'echo request',
  129: 'echo reply',
};

/** `10.244.1.2:40000 → 10.244.2.2:8080 UDP TTL 63`: the addresses of one layer, the payload left out. */
export function describeIp(packet: Packet): string {
  const { ip, udp, tcp, icmp, arp } = packet;
  if (arp !== undefined) {
    return arp.operation === 'request'
      ? `ARP who has ${arp.targetIp}? tell ${arp.senderIp}`
      : `ARP ${arp.senderIp} is at ${arp.senderMac}`;
  }
  if (ip === undefined) return `ethertype 0x${packet.etherType.toString(16).padStart(4, '0')}`;
  const ports = udp ?? tcp;
  const end = (address: typeof ip.source, port: number | undefined) => {
    if (port === undefined) return `${address}`;
    return address.family === 'ipv4' ? `${address}:${port}` : `[${address}]:${port}`;
  };
  const what = describeTransport(packet);
  const arrow = `${end(ip.source, ports?.sourcePort)} → ${end(ip.destination, ports?.destinationPort)}`;
  return `${arrow} ${what} TTL ${ip.ttl}${icmp === undefined ? '' : ` id ${icmp.identifier} seq ${icmp.sequence}`}`;
}

function describeTransport(packet: Packet): string {
  if (packet.udp !== undefined) return 'UDP';
  if (packet.tcp !== undefined) return `TCP ${packet.tcp.flags.join(',')}`;
  if (packet.icmp !== undefined) return `ICMP ${ICMP_NAMES[packet.icmp.type] ?? `type ${packet.icmp.type}`}`;
  return `protocol ${packet.ip?.protocol}`;
}

/** `da:… → de:…`: source and destination of the Ethernet header. */
export function describeMacs(packet: Packet): string {
  return `${packet.source} → ${packet.destination}`;
}
