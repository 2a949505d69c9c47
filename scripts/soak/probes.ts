import { FlannelError } from '#base/errors.ts';
import type { ProbeReport, ProbeSet } from './prober/protocol.ts';

const PROBER = `${import.meta.dir}/prober/main.ts`;

/** The process that sends packets between pods all the time. */
export class Probes implements Disposable {
  readonly #process: Bun.Subprocess<'pipe', 'pipe', 'inherit'>;
  readonly #onReport: (report: ProbeReport) => void;
  #waiting: (() => void)[] = [];
  #ended = false;

  constructor(env: Readonly<Record<string, string>>, onReport: (report: ProbeReport) => void) {
    this.#onReport = onReport;
    const argv = ['setpriv', '--pdeathsig', 'KILL', '--', process.execPath, PROBER];
    this.#process = Bun.spawn(argv, { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit', env });
    void this.#read();
  }

  /** What is to flow from now on; resolves when it does. */
  async set(set: ProbeSet): Promise<void> {
    if (this.#ended) throw new FlannelError('bug', 'the prober has ended');
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    void this.#process.stdin.write(`${JSON.stringify(set)}\n`);
    void this.#process.stdin.flush();
    await promise;
  }

  get ended(): boolean {
    return this.#ended;
  }

  [Symbol.dispose](): void {
    this.#process.kill('SIGKILL');
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of this.#process.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(JSON.parse(line) as ProbeReport | { readonly set: true });
    }
    this.#ended = true;
    for (const done of this.#waiting.splice(0)) done();
  }

  #take(message: ProbeReport | { readonly set: true }): void {
    if ('set' in message) this.#waiting.shift()?.();
    else this.#onReport(message);
  }
}
