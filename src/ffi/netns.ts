import { ErrnoError, FlannelError, hasErrno } from '#base/errors.ts';
import { checked, cString, errno, libc, rareLibc } from './libc.ts';

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
/** `linux/sched.h`. */
const CLONE_NEWNET = 0x40000000;

/** An open network namespace. Holding it keeps the namespace alive. */
export class Netns implements Disposable {
  readonly path: string;
  #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Opens a namespace file, e.g. `/run/netns/pod` or `/proc/<pid>/ns/net`. Throws ENOENT as an ErrnoError. */
  static open(path: string): Netns {
    const fd = libc().open(cString(path), O_RDONLY | O_CLOEXEC, 0);
    if (fd === -1) throw new ErrnoError(`open network namespace ${path}`, errno());
    return new Netns(path, fd);
  }

  /** The namespace of this thread. */
  static current(): Netns {
    return Netns.open('/proc/thread-self/ns/net');
  }

  /** As `open`, undefined when the file is not there. */
  static tryOpen(path: string): Netns | undefined {
    try {
      return Netns.open(path);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  get fd(): number {
    return this.#fd;
  }

  close(): void {
    if (this.#fd < 0) return;
    libc().close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Enters `netns` for good (a process that exits soon: plugin, lab child). */
export function enterNetns(netns: Netns): void {
  const result = libc().setns(netns.fd, CLONE_NEWNET);
  if (result !== -1) return;
  const why = errno();
  throw new ErrnoError(
    `enter network namespace ${netns.path}`,
    why,
    why === 22 ? 'the file is not a network namespace' : '',
  );
}

/**
 * Runs `fn` inside `netns` and comes back, whatever happens. Synchronous only: nothing may be awaited inside, since
 * every other task of this thread would run in the wrong namespace. Threads and fetches born inside stay there.
 */
export function withNetns<T>(netns: Netns, fn: () => T): T {
  using home = Netns.current();
  enterNetns(netns);
  try {
    const result = fn();
    if (result instanceof Promise)
      throw new FlannelError('bug', 'withNetns must not be given asynchronous work');
    return result;
  } finally {
    enterNetns(home);
  }
}

/** A new, empty network namespace for this thread (`unshare(2)`). */
export function unshareNetns(): void {
  checked('unshare CLONE_NEWNET', rareLibc().unshare(CLONE_NEWNET));
}
