import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { Netns } from '#ffi/netns.ts';
import { describeIp } from '#lab/packet/describe.ts';
import { run } from '#lab/process/run.ts';
import { innerArgv } from '#lab/process/run.ts';
import type { Screen } from '#lab/report/screen.ts';
import { Capture, SETTLE_MS } from '#lab/walk/capture-process.ts';
import { journeyOf, type Hop, type Journey } from '#lab/walk/hop.ts';
import type { Spot } from '#lab/walk/spot.ts';
import { story } from '#lab/walk/story.ts';
import type { Ip } from '#net/ip.ts';
import type { NodeOptions } from '../node/options.ts';
import { document } from '../node/output.ts';
import { podWith } from './context.ts';
import type { Ends, Surroundings } from './ends.ts';
import { refusalOf } from './refusal.ts';
import type { End } from './trail.ts';

/** How long an answer may take, ms. */
const PATIENCE = 1500;

export interface CapturedWalk {
  readonly ends: Ends;
  readonly around: Surroundings;
  readonly options: NodeOptions;
  /** UDP port that the packet is sent to. */
  readonly port: number;
  readonly screen: Screen;
}

/** `flannelctl walk --capture`: one packet, seen on every device of its pods and of this node. Returns the exit code. */
export async function captured(parts: CapturedWalk): Promise<number> {
  const journey = await record(parts);
  const end = endOf(journey, parts);
  const { ends, options, screen } = parts;
  const { form } = options;
  if (form === 'json' || form === 'yaml') {
    const { source, destination } = ends;
    const hops = (list: readonly Hop[]) =>
      list.map(({ place, device, outgoing, packet }) => ({
        where: `${place.name} ${device.name}`,
        direction: outgoing ? 'out' : 'in',
        packet: describeIp(packet),
      }));
    const { request, reply } = journey;
    screen.write(
      document(form, { from: source, to: destination, request: hops(request), reply: hops(reply), end }),
    );
  } else {
    screen.line(screen.paint('bold', `${ends.source} → ${ends.destination}, UDP port ${parts.port}`));
    screen.lines(story(journey, screen));
    const good = end.outcome !== 'dies';
    screen.line(`      ${screen.paint(good ? 'green' : 'red', WORDS[end.outcome])} ${end.why}`);
    if (end.cure !== undefined) screen.line(`      ${end.cure}`);
  }
  return end.outcome === 'dies' ? 1 : 0;
}

const WORDS = { arrives: 'arrived', leaves: 'left this node', dies: 'lost:' } as const;

async function record({ ends, around, port }: CapturedWalk): Promise<Journey> {
  const from = spotOf(ends.source, ends, around);
  const to = ends.start === 'elsewhere' ? undefined : tryPod(ends.destination, around);
  const spots = [
    ...new Map([from, NODE, ...(to === undefined ? [] : [to])].map((spot) => [spot.name, spot])).values(),
  ];
  const token = `walk-${crypto.randomUUID()}`;
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin` };
  const options = { token, env, vxlanPort: around.vxlanPort };
  const captures = await Promise.all(spots.map((spot) => Capture.start(spot, options)));
  try {
    const request = { proto: 'udp', host: `${ends.destination}`, port, text: token, timeoutMs: PATIENCE };
    // An answer is not needed: a refusal (ICMP) is one, and silence too.
    await run(from.enter(innerArgv('__probe', JSON.stringify([request]))), { env });
    await systemClock.sleep(SETTLE_MS);
    const hops = (await Promise.all(captures.map((capture) => capture.hops()))).flat();
    return journeyOf(hops, port);
  } finally {
    for (const capture of captures) capture.stop();
  }
}

const NODE: Spot = {
  kind: 'node',
  name: 'node',
  enter: (argv) => argv,
  openNetns: () => Netns.current(),
};

function spotOf(ip: Ip, { start }: Ends, around: Surroundings): Spot {
  if (start === 'node') return NODE;
  const pod = start === 'pod' ? tryPod(ip, around) : undefined;
  if (pod !== undefined) return pod;
  throw new FlannelError('operator', `no packet can be sent from ${ip} here`, {
    cure: 'Begin with this node or one of its pods whose namespace is alive (flannelctl pods)',
  });
}

function tryPod(ip: Ip, around: Surroundings): Spot | undefined {
  const pod = podWith(around, ip);
  const { netns } = pod ?? {};
  if (netns === undefined || pod?.namespace !== 'alive') return undefined;
  return {
    kind: 'pod',
    name: `pod ${ip}`,
    enter: (argv) => ['nsenter', `--net=${netns}`, '--', ...argv],
    openNetns: () => Netns.open(netns),
  };
}

/** What became of the packet, by where it was seen last. */
function endOf({ request, reply }: Journey, { ends, around }: CapturedWalk): End {
  const last = request.at(-1);
  if (last === undefined)
    return {
      outcome: 'dies',
      why: 'it was seen nowhere: the sender itself could not send it',
      cure: cure(ends),
    };
  const place = `${last.place.name} ${last.device.name}`;
  const refused = refusalOf(reply, ends.destination);
  if (refused !== undefined)
    return { outcome: 'dies', why: `last seen at ${place}; ${refused}`, cure: cure(ends) };
  const answered = reply.length > 0 ? ', and there was an answer' : '';
  if (last.place.kind === 'pod' && !last.outgoing)
    return { outcome: 'arrives', why: `at ${place}${answered}` };
  const own = around.addresses.some((ip) => ip.equals(ends.destination));
  if (own && last.place.kind === 'node') return { outcome: 'arrives', why: `at this node${answered}` };
  const outside =
    last.outgoing &&
    last.place.kind === 'node' &&
    last.device.bridge === undefined &&
    last.device.kind !== 'bridge' &&
    last.device.kind !== 'vxlan';
  if (outside)
    return {
      outcome: 'leaves',
      why: `by ${last.device.name}${answered === '' ? '; there was no answer' : answered}`,
    };
  return { outcome: 'dies', why: `last seen at ${place}`, cure: cure(ends) };
}

function cure({ source, destination }: Ends): string {
  return `flannelctl walk ${source} ${destination} says what the kernel would do with it`;
}
