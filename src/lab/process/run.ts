import { dirname, join } from 'node:path';
import { FlannelError } from '#base/errors.ts';
import { MARK_VARIABLE } from '../state/paths.ts';

/** Environment variable with the folder of the compiled programs, for a lab that runs from its sources. */
export const PROGRAMS_VARIABLE = 'FLANNEL_LAB_PROGRAMS';

/** The compiled programs: the folder of the running executable, unless the environment names another. */
export function programFolder(): string {
  return process.env[PROGRAMS_VARIABLE] ?? dirname(process.execPath);
}

export function program(name: string): string {
  return join(programFolder(), name);
}

/** argv of one of the lab's own inner commands. */
export function innerArgv(command: string, ...args: readonly string[]): string[] {
  return [program('flannelctl'), 'lab', command, ...args];
}

/**
 * The environment of a lab's processes: the mark, a plain PATH (a login shell of an ordinary user has no sbin), nothing
 * that would steer the runtime (`BUN_*`).
 */
export function labEnvironment(
  folder: string,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const keep = ['HOME', 'LANG', 'TERM', 'FLANNEL_LAB_ROOT', 'COLORTERM', 'NO_COLOR'];
  const kept = keep.flatMap((key) => {
    const value = process.env[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  return {
    ...Object.fromEntries(kept),
    // Ours last: `bridge` is a program of iproute2, too.
    PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:${programFolder()}`,
    [MARK_VARIABLE]: folder,
    ...extra,
  };
}

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly input?: string;
  /** ms; default 30,000. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  /** Exit code; 128 + n when signal n ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end and hands back what it said. */
export async function run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  const child = spawn(argv, options);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 30_000);
  try {
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

/** As `run`; a failure is an error that quotes what the program said. */
export async function runOrThrow(argv: readonly string[], options: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code === 0) return stdout;
  const said = (stderr.trim() === '' ? stdout : stderr).trim().slice(-2000);
  throw new FlannelError('kernel', `${argv.join(' ')} ended with ${code}${said === '' ? '' : `: ${said}`}`);
}

function spawn(argv: readonly string[], options: RunOptions) {
  try {
    return Bun.spawn([...argv], {
      stdin: options.input === undefined ? 'ignore' : new TextEncoder().encode(options.input),
      stdout: 'pipe',
      stderr: 'pipe',
      env: options.env,
    });
  } catch (error) {
    throw new FlannelError('operator', `${argv[0]} cannot be started`, {
      cause: error,
      cure: 'The lab needs util-linux (nsenter, unshare, setpriv)',
    });
  }
}
