import { describeIp, describeMacs } from '../packet/describe.ts';
import type { Packet } from '../packet/decode.ts';
import type { Screen } from '../report/screen.ts';
import { explain } from './explain.ts';
import type { Hop, Journey } from './hop.ts';

/** The journey in lines: every hop of the question with its reason, the answer's way back in short. */
export function story(journey: Journey, screen: Pick<Screen, 'paint'>): string[] {
  const lines = journey.request.flatMap((hop, at) => {
    const why = explain(hop, journey.request[at - 1]);
    return [
      ...hopLines(hop, at + 1, screen),
      ...(why === '' ? [] : [`${INDENT}${screen.paint('cyan', why)}`]),
    ];
  });
  const back = journey.reply.map((hop) => `${INDENT}${place(hop).padEnd(24)} ${brief(hop.packet)}`);
  return [...lines, ...(back.length === 0 ? [] : [`    ${screen.paint('bold', 'and back')}`, ...back])];
}

const INDENT = '      ';

function hopLines(hop: Hop, number: number, screen: Pick<Screen, 'paint'>): string[] {
  const head = `${String(number).padStart(4)}  ${screen.paint('bold', place(hop).padEnd(24))}`;
  const [first = '', ...rest] = packetLines(hop.packet);
  // Every other line is that of the MACs.
  const more = rest.map((line, at) => `${INDENT}${at % 2 === 0 ? screen.paint('dim', line) : line}`);
  return [`${head} ${first}`, ...more];
}

/** The packet at a hop: two lines, and two more of the packet that it wraps. */
export function packetLines(packet: Packet): string[] {
  if (packet.vxlan === undefined) return [describeIp(packet), `MAC ${describeMacs(packet)}`];
  const { inner, vni } = packet.vxlan;
  return [
    `outer ${describeIp(packet)}`,
    `outer MAC ${describeMacs(packet)}`,
    `VXLAN VNI ${vni}, inner ${describeIp(inner)}`,
    `inner MAC ${describeMacs(inner)}`,
  ];
}

function place({ place, device, outgoing }: Hop): string {
  return `${place.name} ${device.name} ${outgoing ? 'out' : 'in'}`;
}

function brief(packet: Packet): string {
  if (packet.vxlan === undefined) return describeIp(packet);
  const outer = `${packet.ip?.source} → ${packet.ip?.destination} VXLAN`;
  return `${outer} [${describeIp(packet.vxlan.inner)}]`;
}
