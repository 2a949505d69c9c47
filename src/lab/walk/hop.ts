import { innermost, type Packet } from '../packet/decode.ts';
import type { Spot } from './spot.ts';
import { ECHO_PORT } from '../state/address-plan.ts';
import type { Device, Facts } from './facts.ts';

/** The packet seen at one device. */
export interface Hop {
  readonly place: Pick<Spot, 'kind' | 'name'>;
  readonly device: Device;
  readonly outgoing: boolean;
  /** ns since the epoch. */
  readonly time: bigint;
  readonly packet: Packet;
  readonly facts: Facts;
}

/** One packet's way there and its answer's way back, each in order of time. */
export interface Journey {
  readonly request: readonly Hop[];
  readonly reply: readonly Hop[];
}

/** Sorts what was captured. A packet to the port is the question; one from it, or an ICMP error, the answer. */
export function journeyOf(hops: readonly Hop[], port: number = ECHO_PORT): Journey {
  const inTime = hops.toSorted((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
  const isAnswer = ({ packet }: Hop) => {
    const { udp, icmp } = innermost(packet);
    return udp?.sourcePort === port || icmp !== undefined;
  };
  return {
    request: withoutRepeats(inTime.filter(({ packet }) => innermost(packet).udp?.destinationPort === port)),
    reply: withoutRepeats(inTime.filter(isAnswer)),
  };
}

/** A datagram that was sent again passes every device twice: its first passage counts. */
function withoutRepeats(hops: readonly Hop[]): Hop[] {
  const seen = new Set<string>();
  return hops.filter(({ place, device, outgoing, packet }) => {
    const key = `${place.name} ${device.name} ${outgoing} ${packet.vxlan === undefined}`;
    const repeated = seen.has(key);
    seen.add(key);
    return !repeated;
  });
}
