import { ErrnoError } from '#base/errors.ts';
import { checked, cString, errno, libc, rareLibc } from './libc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/** Takes the exclusive `flock(2)` on an open descriptor; waits for it. The lock goes with the descriptor. */
export function lockExclusive(fd: number): void {
  for (;;) {
    if (libc().flock(fd, LOCK_EX) === 0) return;
    const why = errno();
    if (why !== 4) throw new ErrnoError('flock', why);
  }
}

/** As `lockExclusive` without waiting: false when somebody else holds it. */
export function tryLockExclusive(fd: number): boolean {
  if (libc().flock(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const why = errno();
  if (why === 11) return false;
  throw new ErrnoError('flock', why);
}

export function unlock(fd: number): void {
  checked('flock', libc().flock(fd, LOCK_UN));
}

/** `sys/mount.h`. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  BIND: 4096,
  REC: 16384,
  PRIVATE: 1 << 18,
  SHARED: 1 << 20,
} as const;
export const MNT_DETACH = 2;

export interface Mount {
  readonly source: string;
  readonly target: string;
  /** File system type, `''` for a bind mount. */
  readonly type: string;
  readonly flags: number;
  readonly data?: string;
}

/** `mount(2)`. */
export function mount(request: Mount): void {
  const { source, target, type, flags, data = '' } = request;
  const result = rareLibc().mount(cString(source), cString(target), cString(type), flags, cString(data));
  if (result === -1) throw new ErrnoError(`mount ${source} on ${target}`, errno());
}

/** `umount2(2)`. */
export function unmount(target: string, flags = 0): void {
  if (rareLibc().umount2(cString(target), flags) === -1) throw new ErrnoError(`unmount ${target}`, errno());
}
