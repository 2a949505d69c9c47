import type { ChildProcess } from 'node:child_process';
import { builtin } from './builtin.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type Channel = 'ignore' | 'pipe' | 'inherit';

interface SyncOptions {
  readonly env?: Environment;
  readonly stdin?: Uint8Array | 'ignore';
  readonly stdout?: Channel;
  readonly stderr?: Channel;
}

/** What `Bun.spawn` is given in this program. */
interface Options extends SyncOptions {
  readonly argv0?: string;
  readonly detached?: boolean;
  readonly signal?: AbortSignal;
  readonly killSignal?: NodeJS.Signals;
}

/** `Bun.which`: the first executable file of that name; null when there is none. */
export function which(name: string, { PATH = '' }: { readonly PATH?: string } = {}): string | null {
  const places = name.includes('/') ? [name] : PATH.split(':').map((folder) => `${folder}/${name}`);
  return places.find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    builtin.fs.accessSync(path, builtin.fs.constants.X_OK);
    return builtin.fs.statSync(path).isFile();
  } catch {
    return false;
  }
}

/** `Bun.spawnSync`; throws when the program cannot be started. */
export function spawnSync(
  given: readonly string[] | (SyncOptions & { readonly cmd: readonly string[] }),
  more?: SyncOptions,
) {
  const options: SyncOptions = 'cmd' in given ? given : (more ?? {});
  const [file = '', ...args] = 'cmd' in given ? given.cmd : given;
  const { env, stdin = 'ignore', stdout = 'pipe', stderr = 'inherit' } = options;
  const done = builtin.childProcess.spawnSync(file, args, {
    ...(env !== undefined && { env }),
    ...(stdin !== 'ignore' && { input: stdin }),
    stdio: [stdin === 'ignore' ? 'ignore' : 'pipe', stdout, stderr],
    maxBuffer: 1 << 30,
  });
  if (done.error !== undefined) throw done.error;
  const nothing = new Uint8Array();
  return {
    stdout: Buffer.from(done.stdout ?? nothing),
    stderr: Buffer.from(done.stderr ?? nothing),
    exitCode: done.status,
    signalCode: done.signal,
    success: done.status === 0,
  };
}

/** `Bun.spawn` with piped output; throws when the program cannot be started. */
export function spawn([file = '', ...args]: readonly string[], options: Options = {}) {
  const {
    env,
    stdin = 'ignore',
    stdout = 'pipe',
    stderr = 'inherit',
    signal,
    killSignal = 'SIGTERM',
  } = options;
  signal?.throwIfAborted();
  const child = builtin.childProcess.spawn(file, args, {
    ...(env !== undefined && { env }),
    ...(options.argv0 !== undefined && { argv0: options.argv0 }),
    detached: options.detached === true,
    stdio: [stdin === 'ignore' ? 'ignore' : 'pipe', stdout, stderr],
  });
  const exited = new Promise<number>((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('exit', (code) => resolve(code ?? 128));
  });
  if (child.pid === undefined) throw new Error(`${file} cannot be executed`);
  // A program that ends without reading its input is no error of ours.
  child.stdin?.on('error', () => {});
  if (stdin !== 'ignore') child.stdin?.end(stdin);
  const kill = () => void child.kill(killSignal);
  signal?.addEventListener('abort', kill, { once: true });
  void exited.then(() => signal?.removeEventListener('abort', kill));
  return subprocess(child, exited);
}

function subprocess(child: ChildProcess, exited: Promise<number>) {
  const web = (stream: ChildProcess['stdout']) =>
    stream === null ? undefined : builtin.stream.Readable.toWeb(stream);
  const [stdout, stderr] = [web(child.stdout), web(child.stderr)];
  return {
    pid: child.pid,
    stdout,
    stderr,
    exited,
    get exitCode() {
      return child.exitCode;
    },
    get signalCode() {
      return child.signalCode;
    },
    kill: (signal?: NodeJS.Signals | number) => void child.kill(signal),
  };
}
