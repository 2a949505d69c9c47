import { readFileSync } from 'node:fs';
import { withNetns } from '#ffi/netns.ts';
import { openNetns, type Place } from '../process/places.ts';

/**
 * Datagrams that arrived at these places and found the buffer of their socket full (`RcvbufErrors` of `/proc/net/snmp`, IPv4):
 * a program that gets no processor for a second loses them, not the network.
 */
export function overflows(places: readonly Place[]): number {
  return places.reduce((sum, place) => {
    using netns = openNetns(place);
    return (
      sum + receiveBufferErrors(withNetns(netns, () => readFileSync('/proc/thread-self/net/snmp', 'utf8')))
    );
  }, 0);
}

/** The number in `/proc/net/snmp`: a line of names and a line of numbers for each protocol. */
export function receiveBufferErrors(snmp: string): number {
  const [names, numbers] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  return Number(numbers?.[names?.indexOf('RcvbufErrors') ?? -1] ?? 0);
}
