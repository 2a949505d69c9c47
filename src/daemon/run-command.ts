import type { Command } from '#backend/backend.ts';
import { describe, FlannelError } from '#base/errors.ts';

/** Runs a command to its end and returns what it wrote to standard output; throws FlannelError when it fails. */
export type RunCommand = (command: Command, signal: AbortSignal) => Promise<string>;

export interface RunnerOptions {
  /** PATH of the commands. */
  readonly path: string;
  /** A command that runs longer is killed with all its children, ms. */
  readonly timeoutMs: number;
}

/** More output than this ends the command, bytes. */
const MAX_OUTPUT = 65_536;
/** What of the standard error goes into a message, characters. */
const MAX_TOLD = 300;
/** Something that the command left running may keep its output open: wait so long for the rest, ms. */
const LINGER = 200;
const CURE = 'Run the command by hand with the variables of the documentation';

/** Runs operators' commands: by argument vector, with PATH and their own variables as environment, bounded in time and output. */
export function commandRunner({ path, timeoutMs }: RunnerOptions): RunCommand {
  return async (command, signal) => {
    signal.throwIfAborted();
    const { what, env, stdin } = command;
    const child = start(command, path);
    let killed: string | undefined;
    const kill = (why: string) => {
      killed ??= why;
      try {
        // The whole group: a script's children, too.
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    };
    const stop = () => kill('the agent stops');
    signal.addEventListener('abort', stop, { once: true });
    const timer = setTimeout(() => kill(`it did not end within ${timeoutMs} ms`), timeoutMs);
    try {
      const tooMuch = () => kill(`it wrote more than ${MAX_OUTPUT} bytes`);
      const [stdout, stderr] = [collect(child.stdout, tooMuch), collect(child.stderr, tooMuch)];
      const code = await child.exited;
      const [text, told] = await Promise.all([stdout.end(), stderr.end()]);
      signal.throwIfAborted();
      if (killed === undefined && code === 0) return text;
      const why =
        killed ?? (child.signalCode === null ? `exit code ${code}` : `ended by ${child.signalCode}`);
      const tail = told.trim().slice(-MAX_TOLD);
      throw new FlannelError('operator', `${what}: ${why}${tail === '' ? '' : `: ${tail}`}`, { cure: CURE });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }

    function start({ argv: [name = '', ...args] }: Command, PATH: string) {
      const file = Bun.which(name, { PATH });
      if (file === null) {
        const cure = 'Name an executable file, best with its whole path';
        throw new FlannelError('operator', `${what}: there is no program ${JSON.stringify(name)}`, { cure });
      }
      try {
        return Bun.spawn([file, ...args], {
          env: { ...env, PATH },
          stdin: new TextEncoder().encode(stdin),
          stdout: 'pipe',
          stderr: 'pipe',
          argv0: name,
          detached: true,
        });
      } catch (error) {
        throw new FlannelError('operator', `${what}: ${describe(error)}`, { cure: CURE, cause: error });
      }
    }
  };
}

/** Reads a stream in the background, up to `MAX_OUTPUT` bytes. */
function collect(stream: ReadableStream<Uint8Array>, tooMuch: () => void): { end(): Promise<string> } {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reading = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      size += value.length;
      if (size > MAX_OUTPUT) {
        tooMuch();
        return;
      }
      chunks.push(value);
    }
  })();
  return {
    async end() {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, LINGER);
      await Promise.race([reading.catch(() => {}), promise]);
      clearTimeout(timer);
      await reader.cancel().catch(() => {});
      return new TextDecoder().decode(Buffer.concat(chunks));
    },
  };
}
