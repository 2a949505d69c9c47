import { ErrnoError, FlannelError } from '#base/errors.ts';
import { openLibrary, readInt } from './engine.ts';
import { machine } from './machine.ts';
import type { Functions } from './signature.ts';

/**
 * The C library calls that JavaScript has no words for. Strings go over as `cstring`, memory as `buffer`: the engine
 * keeps both alive for the length of the call, which a bare pointer would not.
 */
const SYMBOLS = {
  __errno_location: { args: [], returns: 'ptr' },
  _exit: { args: ['i32'], returns: 'void' },
  access: { args: ['cstring', 'i32'], returns: 'i32' },
  bind: { args: ['i32', 'buffer', 'u32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  flock: { args: ['i32', 'i32'], returns: 'i32' },
  ftruncate: { args: ['i32', 'i64'], returns: 'i32' },
  link: { args: ['cstring', 'cstring'], returns: 'i32' },
  mkdir: { args: ['cstring', 'u32'], returns: 'i32' },
  open: { args: ['cstring', 'i32', 'u32'], returns: 'i32' },
  read: { args: ['i32', 'buffer', 'u64'], returns: 'i64_fast' },
  recv: { args: ['i32', 'buffer', 'u64', 'i32'], returns: 'i64_fast' },
  rename: { args: ['cstring', 'cstring'], returns: 'i32' },
  send: { args: ['i32', 'buffer', 'u64', 'i32'], returns: 'i64_fast' },
  setns: { args: ['i32', 'i32'], returns: 'i32' },
  setsockopt: { args: ['i32', 'i32', 'i32', 'buffer', 'u32'], returns: 'i32' },
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  syscall: { args: ['i64', 'i64', 'buffer', 'i64', 'i64', 'buffer'], returns: 'i64_fast' },
  unlink: { args: ['cstring'], returns: 'i32' },
  write: { args: ['i32', 'buffer', 'u64'], returns: 'i64_fast' },
} as const;

/** What the CNI plugins have no use for: every symbol that is looked up costs their start 8 µs. */
const RARE_SYMBOLS = {
  fcntl: { args: ['i32', 'i32', 'i64'], returns: 'i32' },
  getsockname: { args: ['i32', 'buffer', 'buffer'], returns: 'i32' },
  ioctl: { args: ['i32', 'u64', 'buffer'], returns: 'i32' },
  mount: { args: ['cstring', 'cstring', 'cstring', 'u64', 'cstring'], returns: 'i32' },
  recvfrom: { args: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'buffer'], returns: 'i64_fast' },
  sendto: { args: ['i32', 'buffer', 'u64', 'i32', 'buffer', 'u32'], returns: 'i64_fast' },
  umount2: { args: ['cstring', 'i32'], returns: 'i32' },
  unshare: { args: ['i32'], returns: 'i32' },
} as const;

type Libc = Functions<typeof SYMBOLS>;
type RareLibc = Functions<typeof RARE_SYMBOLS>;

let loaded: { readonly name: string; readonly symbols: Libc; readonly errno: number } | undefined;
let rare: RareLibc | undefined;

/** glibc first, then musl by machine name; loaded at the first call, never at import. */
function load(): NonNullable<typeof loaded> {
  if (loaded !== undefined) return loaded;
  let problem: unknown;
  for (const name of ['libc.so.6', `libc.musl-${machine().musl}.so.1`]) {
    try {
      const symbols = openLibrary(name, SYMBOLS);
      const errno = symbols.__errno_location();
      if (errno === null) throw new FlannelError('bug', '__errno_location returned NULL');
      loaded = { name, symbols, errno: Number(errno) };
      return loaded;
    } catch (error) {
      problem = error;
    }
  }
  throw new FlannelError('operator', 'the C library cannot be loaded', { cause: problem });
}

/** The C library's functions by name. */
export function libc(): Libc {
  return load().symbols;
}

/** The functions that few callers need, looked up at the first call. */
export function rareLibc(): RareLibc {
  rare ??= openLibrary(load().name, RARE_SYMBOLS);
  return rare;
}

/**
 * errno of this thread. Only meaningful right behind a call that returned -1, in the same synchronous function: nothing
 * else of ours runs in between, and the engine does not touch errno there (measured: 6 million calls).
 */
export function errno(): number {
  return readInt(load().errno);
}

/** `result` when it is not -1; else throws the errno of the call just made. */
export function checked<T extends number | bigint>(call: string, result: T): number {
  if (Number(result) === -1) throw new ErrnoError(call, errno());
  return Number(result);
}

/** A string for the C side; refuses NUL, which would cut it short silently. */
export function cString(text: string): string {
  if (text.includes('\0')) throw new FlannelError('operator', 'a path or name holds a NUL byte');
  return text;
}
