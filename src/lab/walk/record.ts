import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { askAll } from '../probe/ask.ts';
import type { ProbeResult } from '../probe/exchange.ts';
import { decodePacket } from '../packet/decode.ts';
import { addressOf, enterArgv, openNetns, placesOf, type Place } from '../process/places.ts';
import { innerArgv } from '../process/run.ts';
import { ECHO_PORT, VXLAN_PORT } from '../state/address-plan.ts';
import type { LabState } from '../state/state.ts';
import { readFacts } from './facts.ts';
import { CAPTURING, parseFrames, type CapturedFrame } from './frames.ts';
import { journeyOf, type Hop, type Journey } from './hop.ts';

/** How long frames may take from the kernel to the capture processes' output. */
const SETTLE_MS = 150;

export interface Walk {
  readonly from: Place;
  readonly to: Place;
  readonly env: Readonly<Record<string, string>>;
}

export interface Recording {
  readonly journey: Journey;
  readonly result: ProbeResult;
}

/** Sends one datagram from `from` to the echo server of `to` and records it on every device on its way. */
export async function record(state: LabState, walk: Walk): Promise<Recording> {
  const token = `walk-${crypto.randomUUID()}`;
  const places = placesOnTheWay(state, walk);
  const captures = await Promise.all(places.map((place) => Capture.start(place, token, walk.env)));
  try {
    const request = { proto: 'udp', host: addressOf(walk.to), port: ECHO_PORT, text: token } as const;
    const [result] = await askAll([{ from: walk.from, request }], walk.env);
    await systemClock.sleep(SETTLE_MS);
    const hops = (await Promise.all(captures.map((capture) => capture.hops()))).flat();
    return { journey: journeyOf(hops), result: result ?? { ok: false, error: 'not asked' } };
  } finally {
    for (const capture of captures) capture.stop();
  }
}

/** Both ends, the nodes they live on, and what lies between. */
function placesOnTheWay(state: LabState, { from, to }: Walk): Place[] {
  const nodes = [from, to].flatMap((end) =>
    end.kind === 'pod' ? [{ kind: 'node', name: end.node.name, node: end.node } as const] : [],
  );
  const underlay = placesOf(state).filter((place) => place.kind === 'underlay');
  const all: Place[] = [from, to, ...nodes, ...underlay];
  return [...new Map(all.map((place) => [place.name, place])).values()];
}

/** A capture process in one namespace. */
class Capture {
  readonly #place: Place;
  readonly #process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  readonly #ended: Promise<void>;
  #output = '';

  private constructor(place: Place, process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>) {
    this.#place = place;
    this.#process = process;
    this.#ended = this.#collect();
  }

  /** Starts it and waits until nothing is missed any more. */
  static async start(place: Place, token: string, env: Readonly<Record<string, string>>): Promise<Capture> {
    const process = Bun.spawn(enterArgv(place, innerArgv('__capture', token)), {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
      env,
    });
    const capture = new Capture(place, process);
    while (!capture.#output.startsWith(CAPTURING)) {
      if (process.exitCode !== null) throw new FlannelError('kernel', `no capture can run in ${place.name}`);
      await systemClock.sleep(2);
    }
    return capture;
  }

  /** Ends the capture and decodes what it saw. */
  async hops(): Promise<Hop[]> {
    this.stop();
    await this.#ended;
    using netns = openNetns(this.#place);
    using net = Rtnetlink.openIn(netns);
    const facts = readFacts(net);
    return parseFrames(this.#output).flatMap((frame) => this.#hop(frame, facts));
  }

  stop(): void {
    this.#process.kill('SIGKILL');
  }

  #hop({ link, outgoing, time, frame }: CapturedFrame, facts: Hop['facts']): Hop[] {
    const device = facts.devices.find(({ index }) => index === link);
    if (device === undefined) return [];
    const packet = decodePacket(Uint8Array.fromHex(frame), { vxlanPort: VXLAN_PORT });
    return [{ place: this.#place, device, outgoing, time: BigInt(time), packet, facts }];
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#process.stdout) this.#output += decoder.decode(chunk, { stream: true });
  }
}
