import type { Subprocess } from 'bun';
import { held } from '#lab/serve/child.ts';

const ENTRY = `${import.meta.dir}/flanneld.ts`;

export interface AgentStart {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command, e.g. `setpriv ...`. */
  readonly prefix?: readonly string[];
  /** In place of the program from its sources. */
  readonly command?: readonly string[];
}

/** A running flanneld: the program itself, from its sources, as a process of its own. */
export class AgentProcess implements AsyncDisposable {
  readonly #child: Subprocess<'ignore', 'pipe', 'pipe'>;
  #log = '';
  readonly #reading: Promise<void>;

  constructor({ args, env = {}, prefix = [], command = [process.execPath, ENTRY] }: AgentStart) {
    const { PATH = '' } = process.env;
    this.#child = Bun.spawn(held([...prefix, ...command, ...args]), {
      env: { PATH, ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    });
    this.#reading = this.#read();
  }

  /** Everything that it has written to stderr so far. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** How many log lines hold `text`. */
  count(text: string): number {
    return this.#log.split('\n').filter((line) => line.includes(text)).length;
  }

  /** Sends the signal and waits for the end; exit code (undefined after a signal) and time it took, ms. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): Promise<{ code: number | null; ms: number }> {
    const start = performance.now();
    this.#child.kill(signal);
    await this.#child.exited;
    const ms = performance.now() - start;
    await this.#reading;
    return { code: this.#child.exitCode, ms };
  }

  /** Waits for its end by itself. */
  async exited(): Promise<number | null> {
    await this.#child.exited;
    await this.#reading;
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop('SIGKILL');
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) this.#log += decoder.decode(chunk, { stream: true });
  }
}
