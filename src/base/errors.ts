/** Who has to act on an error: we (`bug`), the operator, the kernel's state, the API server, or a peer. */
export type Actor = 'bug' | 'operator' | 'kernel' | 'api' | 'peer';

export interface ErrorDetails {
  /** What to do about it, one imperative sentence without a full stop. */
  readonly cure?: string;
  readonly cause?: unknown;
}

/** Base of every error that this project throws on purpose. The message names the culprit; `cure` what helps. */
export class FlannelError extends Error {
  override readonly name: string = 'FlannelError';
  readonly actor: Actor;
  readonly cure: string | undefined;

  constructor(actor: Actor, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.actor = actor;
    this.cure = details.cure;
  }

  /** What happened, as one of a small set of words, e.g. `ENODEV`: for counting. */
  get kind(): string {
    return this.name;
  }
}

/** A bad value in configuration, flags, environment or CNI input: the operator mends it. */
export class ConfigError extends FlannelError {
  override readonly name = 'ConfigError';
  /** Where the value stands, e.g. `net-conf.json: Backend.VNI`. */
  readonly path: string;

  constructor(path: string, message: string, details: ErrorDetails = {}) {
    super('operator', `${path}: ${message}`, details);
    this.path = path;
  }
}

/** Bytes or text that are not what their format says. `offset` counts bytes from the start of the input. */
export class DecodeError extends FlannelError {
  override readonly name = 'DecodeError';
  readonly path: string;
  readonly offset: number;

  constructor(path: string, offset: number, message: string) {
    super('bug', `${path} at byte ${offset}: ${message}`);
    this.path = path;
    this.offset = offset;
  }
}

/** The kernel answered a call with an errno (positive number, e.g. 2 for ENOENT). */
export class ErrnoError extends FlannelError {
  override readonly name: string = 'ErrnoError';
  readonly errno: number;
  /** The symbolic name, e.g. `ENOENT`; `errno 123` when unknown. */
  readonly code: string;
  /** The call, e.g. `setns /run/netns/a`. */
  readonly call: string;

  constructor(call: string, errno: number, note = '', details: ErrorDetails = {}) {
    const code = errnoName(errno);
    const text = ERRNO_TEXT[code];
    super(
      'kernel',
      `${call}: ${text === undefined ? code : `${text} (${code})`}${note === '' ? '' : `: ${note}`}`,
      details,
    );
    this.errno = errno;
    this.code = code;
    this.call = call;
  }

  override get kind(): string {
    return this.code;
  }
}

/** Errno values by name, as in `asm-generic/errno.h` (the same on every architecture we build for). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  EROFS: 30,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ELOOP: 40,
  ENODATA: 61,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  EDQUOT: 122,
} as const;

export type ErrnoName = keyof typeof ERRNO;

const ERRNO_TEXT: Partial<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file or object',
  ESRCH: 'no such entry',
  EEXIST: 'already exists',
  ENODEV: 'no such device',
  EINVAL: 'invalid argument',
  EACCES: 'permission denied',
  EBUSY: 'device or resource busy',
  ENOTDIR: 'not a folder',
  EISDIR: 'is a folder',
  EIO: 'input/output error',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this machine',
  ENOMEM: 'out of memory',
  ENAMETOOLONG: 'name too long',
  ELOOP: 'too many symbolic links',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
  EOPNOTSUPP: 'not supported by this kernel',
  EMSGSIZE: 'message too long',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'address not available',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network is unreachable',
  ENOBUFS: 'receive buffer overrun',
  EAGAIN: 'no answer in time',
};

/** The symbolic name of an errno, or `errno <n>`. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(ERRNO)) if (value === errno) return name;
  return `errno ${errno}`;
}

/** True when `error` is the kernel's answer `name`; also true for Node's own errors (`code` property). */
export function hasErrno(error: unknown, name: ErrnoName): boolean {
  if (error instanceof ErrnoError) return error.errno === ERRNO[name];
  return error instanceof Error && 'code' in error && error.code === name;
}

/** ENOENT, ESRCH, ENODEV or EADDRNOTAVAIL: what we wanted to remove or read is not there. */
export function isNotFound(error: unknown): boolean {
  return (['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL'] as const).some((name) => hasErrno(error, name));
}

export function isExists(error: unknown): boolean {
  return hasErrno(error, 'EEXIST');
}

/** One line for a log or a user: the message, the chain of causes, no stack. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `: ${describe(error.cause)}`;
  return `${error.message}${cause}`;
}

/** The cure that the outermost error with one offers. */
export function cureOf(error: unknown): string | undefined {
  if (error instanceof FlannelError && error.cure !== undefined) return error.cure;
  return error instanceof Error && error.cause !== undefined ? cureOf(error.cause) : undefined;
}
