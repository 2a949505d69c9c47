import { closeSync, openSync } from 'node:fs';
import type { Subprocess } from 'bun';

export interface HeldOptions {
  readonly env: Readonly<Record<string, string>>;
  /** File that takes what the process says, at the end; default: nowhere. */
  readonly log?: string;
}

/**
 * Starts a process that dies with this one (`PR_SET_PDEATHSIG`, kept over every exec): a killed lab leaves no process, and
 * with the processes go the namespaces.
 */
export function startHeld(argv: readonly string[], options: HeldOptions): Subprocess<'ignore'> {
  return withLog(options.log, (log) =>
    Bun.spawn(held(argv), {
      stdin: 'ignore',
      stdout: log ?? 'ignore',
      stderr: log ?? 'ignore',
      env: options.env,
    }),
  );
}

/** As `startHeld`, with standard output as a pipe. */
export function startHeldWithOutput(
  argv: readonly string[],
  options: HeldOptions,
): Subprocess<'ignore', 'pipe'> {
  return withLog(options.log, (log) =>
    Bun.spawn(held(argv), { stdin: 'ignore', stdout: 'pipe', stderr: log ?? 'ignore', env: options.env }),
  );
}

/** The command so that it dies with the process that starts it. setpriv belongs to util-linux. */
export function held(argv: readonly string[]): string[] {
  return ['setpriv', '--pdeathsig', 'KILL', '--', ...argv];
}

function withLog<T>(path: string | undefined, start: (log: number | undefined) => T): T {
  const log = path === undefined ? undefined : openSync(path, 'a', 0o600);
  try {
    return start(log);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}
