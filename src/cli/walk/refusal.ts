import { innermost, type Packet } from '#lab/packet/decode.ts';
import type { Ip } from '#net/ip.ts';

/** What an ICMP error means for a datagram: type, code, words. RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3. */
const MEANINGS = [
  ['ipv4', 3, 0, 'it has no route there'],
  ['ipv4', 3, 1, 'the destination does not answer its ARP'],
  ['ipv4', 3, 4, 'the packet is too long for a link behind it'],
  ['ipv4', 3, 9, 'a firewall forbids it'],
  ['ipv4', 3, 10, 'a firewall forbids it'],
  ['ipv4', 3, 13, 'a firewall forbids it'],
  ['ipv4', 11, 0, 'the packet went in a circle until its TTL was used up'],
  ['ipv6', 1, 0, 'it has no route there'],
  ['ipv6', 1, 1, 'a firewall forbids it'],
  ['ipv6', 1, 3, 'the destination does not answer its neighbour solicitations'],
  ['ipv6', 2, 0, 'the packet is too long for a link behind it'],
  ['ipv6', 3, 0, 'the packet went in a circle until its hop limit was used up'],
] as const;

/**
 * Says who sent an ICMP error on the way of a packet to `destination`, and what it means; undefined when nobody but the destination
 * itself answered: that nobody listens on its port is an answer, too.
 */
export function refusalOf(
  reply: readonly { readonly packet: Packet }[],
  destination: Ip,
): string | undefined {
  for (const { packet } of reply) {
    const { ip, icmp } = innermost(packet);
    if (ip === undefined || icmp === undefined || ip.source.equals(destination)) continue;
    const { family } = ip.source;
    const known = MEANINGS.find(
      (each) => each[0] === family && each[1] === icmp.type && each[2] === icmp.code,
    );
    return `${ip.source} says: ${known?.[3] ?? `ICMP type ${icmp.type}, code ${icmp.code}`}`;
  }
  return undefined;
}
