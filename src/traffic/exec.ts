import { FlannelError } from '#base/errors.ts';

export interface ProgramCall {
  /** Written to its standard input. */
  readonly stdin?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; undefined when there is no such program in PATH. Never through a shell. */
export type RunProgram = (
  argv: readonly [string, ...string[]],
  call?: ProgramCall,
) => Promise<ProgramResult | undefined>;

export interface ExecOptions {
  /** The environment to hand down, without BUN_*. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A program that runs longer is killed, ms. */
  readonly timeoutMs: number;
}

/** Where iptables lives when PATH, as often for services, does not say so. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin';

/** Runs programs by argument vector. Throws when one is killed at its time limit, or the signal's reason on abort. */
export function programRunner({ env, timeoutMs }: ExecOptions): RunProgram {
  const path = env['PATH'] === undefined ? SYSTEM_PATH : `${env['PATH']}:${SYSTEM_PATH}`;
  const environment = { ...childEnvironment(env), PATH: path, LC_ALL: 'C' };
  return async ([name, ...args], { stdin, signal } = {}) => {
    signal?.throwIfAborted();
    const file = Bun.which(name, { PATH: path });
    if (file === null) return undefined;
    const limit = AbortSignal.timeout(timeoutMs);
    const child = Bun.spawn([file, ...args], {
      env: environment,
      stdin: stdin === undefined ? 'ignore' : new TextEncoder().encode(stdin),
      stdout: 'pipe',
      stderr: 'pipe',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      killSignal: 'SIGKILL',
    });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    signal?.throwIfAborted();
    if (limit.aborted && child.signalCode !== null) {
      throw new FlannelError('kernel', `${name} did not end within ${timeoutMs} ms and was killed`, {
        cure: 'look for a program that holds /run/xtables.lock',
      });
    }
    return { code, stdout, stderr };
  };
}

/** A compiled Bun program that finds BUN_* in its environment may turn into something else: children get none of it. */
export function childEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('BUN_')));
}
