import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { decodePacket } from '../packet/decode.ts';
import { innerArgv } from '../process/run.ts';
import { readFacts } from './facts.ts';
import { CAPTURING, parseFrames, type CapturedFrame } from './frames.ts';
import type { Hop } from './hop.ts';
import type { Spot } from './spot.ts';

/** How long frames may take from the kernel to the capture processes' output, ms. */
export const SETTLE_MS = 150;

export interface CaptureOptions {
  /** Text in the payload of the packet that is looked for. */
  readonly token: string;
  readonly env: Readonly<Record<string, string>>;
  readonly vxlanPort: number;
}

/** A capture process in one namespace. */
export class Capture {
  readonly #spot: Spot;
  readonly #vxlanPort: number;
  readonly #process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  readonly #ended: Promise<void>;
  #output = '';

  private constructor(spot: Spot, process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>, vxlanPort: number) {
    this.#spot = spot;
    this.#vxlanPort = vxlanPort;
    this.#process = process;
    this.#ended = this.#collect();
  }

  /** Starts it and waits until nothing is missed any more. */
  static async start(spot: Spot, { token, env, vxlanPort }: CaptureOptions): Promise<Capture> {
    const process = Bun.spawn([...spot.enter(innerArgv('__capture', token))], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'inherit',
      env,
    });
    const capture = new Capture(spot, process, vxlanPort);
    while (!capture.#output.startsWith(CAPTURING)) {
      if (process.exitCode !== null) throw new FlannelError('kernel', `no capture can run in ${spot.name}`);
      await systemClock.sleep(2);
    }
    return capture;
  }

  /** Ends the capture and decodes what it saw. */
  async hops(): Promise<Hop[]> {
    this.stop();
    await this.#ended;
    using netns = this.#spot.openNetns();
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
    const packet = decodePacket(Uint8Array.fromHex(frame), { vxlanPort: this.#vxlanPort });
    return [{ place: this.#spot, device, outgoing, time: BigInt(time), packet, facts }];
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#process.stdout) this.#output += decoder.decode(chunk, { stream: true });
  }
}
