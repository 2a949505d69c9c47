import { held } from '#lab/serve/child.ts';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Said {
  readonly code: number;
  /** Standard output and error, as they came. */
  readonly text: string;
}

/** What a package manager keeps about itself, which no package is to blame for. */
const BOOKKEEPING = /^(?:var\/lib\/dpkg|var\/log|var\/cache|run|proc|dev|tmp)(?:\/|$)/;

/**
 * This machine's Debian once more, to install into: its file system below an overlay in memory, in a mount namespace that
 * goes with it. systemd does not run there, so units are neither started nor stopped. Needs root.
 */
export class Chroot implements Disposable {
  readonly #folder: string;
  readonly #holder: Bun.Subprocess;
  readonly root: string;
  readonly #upper: string;

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'flannel-chroot-'));
    this.root = join(this.#folder, 'root');
    this.#upper = join(this.#folder, 'memory/upper');
    this.#holder = Bun.spawn(held(['unshare', '--mount', '--propagation=private', 'sleep', 'infinity']));
    const own = namespaceOf(process.pid);
    while (namespaceOf(this.#holder.pid) === own) Bun.sleepSync(5);
    for (const name of ['memory', 'root']) mkdirSync(join(this.#folder, name));
    this.#mount('-t', 'tmpfs', 'tmpfs', join(this.#folder, 'memory'));
    const work = join(this.#folder, 'memory/work');
    this.#enter(['mkdir', this.#upper, work]);
    this.#mount(
      '-t',
      'overlay',
      '-o',
      `lowerdir=/,upperdir=${this.#upper},workdir=${work}`,
      'overlay',
      this.root,
    );
    this.#mount('-t', 'proc', 'proc', join(this.root, 'proc'));
    this.#mount('--rbind', '/dev', join(this.root, 'dev'));
    for (const name of ['run', 'tmp']) this.#mount('-t', 'tmpfs', 'tmpfs', join(this.root, name));
  }

  /** Runs a command in it to its end. */
  run(...argv: readonly string[]): Said {
    return this.#enter(['chroot', this.root, ...argv]);
  }

  /** As `run`; an error when it fails. */
  must(...argv: readonly string[]): string {
    const { code, text } = this.run(...argv);
    if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${text}`);
    return text;
  }

  /** Makes a file or folder of the machine readable in it, not writable, at `/tmp/<name>`; returns that path. */
  lend(path: string, name: string): string {
    const target = join(this.root, 'tmp', name);
    if (statSync(path).isDirectory()) this.#enter(['mkdir', target]);
    else this.#enter(['touch', target]);
    this.#mount('-o', 'bind,ro', path, target);
    return `/tmp/${name}`;
  }

  /** Paths that are not as on the machine: written, changed or removed; of folders those that are new and empty. */
  changed(): string[] {
    const seen = `/proc/${this.#holder.pid}/root${this.#upper}`;
    return readdirSync(seen, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory() || isNew(join(entry.parentPath, entry.name), seen))
      .map((entry) => join(entry.parentPath, entry.name).slice(seen.length + 1))
      .filter((path) => !BOOKKEEPING.test(path))
      .toSorted();
  }

  [Symbol.dispose](): void {
    this.#holder.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #mount(...argv: readonly string[]): void {
    const { code, text } = this.#enter(['mount', ...argv]);
    if (code !== 0) throw new Error(`mount ${argv.join(' ')}: ${text}`);
  }

  #enter(argv: readonly string[]): Said {
    const enter = ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, '--wdns=/', '--', ...argv];
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };
    const done = Bun.spawnSync(enter, { stdin: null, stdout: 'pipe', stderr: 'pipe', env });
    return { code: done.exitCode, text: `${done.stdout.toString()}${done.stderr.toString()}` };
  }
}

/** A folder of the overlay at `seen` that is empty and not on the machine. */
function isNew(path: string, seen: string): boolean {
  return readdirSync(path).length === 0 && !existsSync(path.slice(seen.length));
}

function namespaceOf(pid: number): number {
  return statSync(`/proc/${pid}/ns/mnt`).ino;
}
