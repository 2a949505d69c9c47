import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import { addressOf, enterArgv, type Place } from '../process/places.ts';
import { innerArgv } from '../process/run.ts';
import { ECHO_PORT } from '../state/address-plan.ts';
import { outageOf, parseReplies, type Outage, type Reply } from './outage.ts';

/** Packets that flow while something is broken. */
export class PacketStream implements Disposable {
  readonly #process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;
  #output = '';

  private constructor(process: Bun.Subprocess<'ignore', 'pipe', 'inherit'>) {
    this.#process = process;
    void this.#collect();
  }

  /** Starts it and waits for the first answers. */
  static async start(
    ends: { readonly from: Place; readonly to: Place },
    env: Readonly<Record<string, string>>,
  ): Promise<PacketStream> {
    const { from, to } = ends;
    const argv = enterArgv(from, innerArgv('__stream', addressOf(to), String(ECHO_PORT)));
    const stream = new PacketStream(
      Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', env }),
    );
    if (await stream.answersSince(0, { count: 10, limitMs: 15_000 })) return stream;
    stream[Symbol.dispose]();
    throw new FlannelError(
      'operator',
      `no packet comes from ${from.name} to ${to.name} even before the break`,
      {
        cure: 'Run `flannelctl lab verify`',
      },
    );
  }

  /** Waits until `count` answers have come after `since` (ms since the epoch); false when they do not come in time. */
  async answersSince(
    since: number,
    options: { readonly count: number; readonly limitMs: number },
  ): Promise<boolean> {
    const start = performance.now();
    while (performance.now() - start < options.limitMs) {
      if (this.#replies().filter(({ at }) => at > since).length >= options.count) return true;
      await systemClock.sleep(10);
    }
    return false;
  }

  outage(): Outage {
    return outageOf(this.#replies());
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL');
  }

  #replies(): Reply[] {
    return parseReplies(this.#output);
  }

  async #collect(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#process.stdout) this.#output += decoder.decode(chunk, { stream: true });
  }
}
