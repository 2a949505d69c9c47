import { readU16, readU64 } from '#base/bytes.ts';
import { ERRNO, ErrnoError, FlannelError, hasErrno, isNotFound } from '#base/errors.ts';
import { cString, errno, libc } from './libc.ts';
import { machine } from './machine.ts';

/** `fcntl.h`, the values that are the same on every architecture we build for. */
export const O = {
  RDONLY: 0,
  WRONLY: 0o1,
  CREAT: 0o100,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  CLOEXEC: 0o2000000,
} as const;
/** `unistd.h`: what `isAccessible` asks. */
export const ACCESS = { EXISTS: 0, EXECUTE: 1, WRITE: 2 } as const;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const STATX_BASIC_STATS = 0x7ff;
/** Bytes of `struct statx`, and what is read of it (`linux/stat.h`). */
const STATX = { SIZE: 256, MODE: 28, INO: 32, DEV: 136 } as const;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * A call on a file that failed. The file functions here do what those of `node:fs` do, which cost a short-lived process
 * a millisecond to load.
 */
export class FileError extends ErrnoError {
  override readonly name = 'FileError';
}

function failed(call: string): FileError {
  return new FileError(call, errno());
}

/** `open(2)` with O_CLOEXEC; `mode` for files that it makes. Throws FileError. */
export function openFile(path: string, flags: number, mode = 0): number {
  for (;;) {
    const fd = libc().open(cString(path), flags | O.CLOEXEC, mode);
    if (fd >= 0) return fd;
    const why = errno();
    if (why !== ERRNO.EINTR) throw new FileError(`open ${path}`, why);
  }
}

export function closeFile(fd: number): void {
  libc().close(fd);
}

/** How the data of a descriptor is read or written. */
export interface Patience {
  /** For messages, e.g. `standard input`. */
  readonly what: string;
  /** What to do while the descriptor, non-blocking, is not ready; without it EAGAIN is thrown. */
  readonly wait?: () => void;
}

function mayGoOn(why: number, { what, wait }: Patience, call: string): void {
  if (why === ERRNO.EINTR) return;
  if (why !== ERRNO.EAGAIN || wait === undefined) throw new FileError(`${call} ${what}`, why);
  wait();
}

/** Reads to the end; undefined when there is more than `limit` bytes. Throws FileError. */
export function readDescriptor(fd: number, limit: number, patience: Patience): string | undefined {
  let buffer = new Uint8Array(4096);
  let length = 0;
  for (;;) {
    const count = Number(libc().read(fd, buffer.subarray(length), buffer.length - length));
    if (count < 0) {
      mayGoOn(errno(), patience, 'read');
      continue;
    }
    if (count === 0) return decoder.decode(buffer.subarray(0, length));
    length += count;
    if (length > limit) return undefined;
    if (length < buffer.length) continue;
    const larger = new Uint8Array(buffer.length * 4);
    larger.set(buffer);
    buffer = larger;
  }
}

/** Writes all of it; a pipe may take less at once. Returns the number of bytes. Throws FileError. */
export function writeDescriptor(fd: number, text: string, patience: Patience): number {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) {
    const count = Number(libc().write(fd, at === 0 ? bytes : bytes.subarray(at), bytes.length - at));
    if (count < 0) mayGoOn(errno(), patience, 'write');
    else at += count;
  }
  return bytes.length;
}

/** A whole file as UTF-8, at most 64 MiB. Throws FileError. */
export function readText(path: string): string {
  const fd = openFile(path, O.RDONLY);
  try {
    const text = readDescriptor(fd, 64 << 20, { what: path });
    if (text === undefined) throw new FlannelError('operator', `${path} is larger than 64 MiB`);
    return text;
  } finally {
    closeFile(fd);
  }
}

/** As `readText`; undefined when there is no such file, or a folder of that name. */
export function tryReadText(path: string): string | undefined {
  try {
    return readText(path);
  } catch (error) {
    if (hasErrno(error, 'ENOENT') || hasErrno(error, 'EISDIR')) return undefined;
    throw error;
  }
}

/** Replaces the content of a file; `mode` of one that is made, without it the file must be there. Throws FileError. */
export function writeText(path: string, text: string, { mode }: { readonly mode?: number } = {}): void {
  const fd = openFile(path, mode === undefined ? O.WRONLY : O.WRONLY | O.CREAT | O.TRUNC, mode);
  try {
    writeDescriptor(fd, text, { what: path });
  } finally {
    closeFile(fd);
  }
}

/**
 * As `writeText` for a file that is a hint: after a crash it may hold a mixture of the old and the new text. An existing
 * file is cut behind the new text, not before: ext4 takes a file that is emptied first for one that must reach the disk
 * at once, which takes it longer than all the rest.
 */
export function overwriteText(path: string, text: string, mode: number): void {
  const fd = openFile(path, O.WRONLY | O.CREAT, mode);
  try {
    const length = writeDescriptor(fd, text, { what: path });
    if (libc().ftruncate(fd, length) === -1) throw failed(`truncate ${path}`);
  } finally {
    closeFile(fd);
  }
}

/** Makes a folder and those above it that are missing. Throws FileError. */
export function makeDirectories(path: string, mode: number): void {
  if (libc().mkdir(cString(path), mode) === 0) return;
  const why = errno();
  if (why === ERRNO.EEXIST) {
    if (isAccessible(`${path}/.`, ACCESS.EXISTS)) return;
    throw new FileError(`make folder ${path}`, ERRNO.ENOTDIR);
  }
  const above = parentOf(path);
  if (why !== ERRNO.ENOENT || above === path) throw new FileError(`make folder ${path}`, why);
  makeDirectories(above, mode);
  if (libc().mkdir(cString(path), mode) === -1 && errno() !== ERRNO.EEXIST)
    throw failed(`make folder ${path}`);
}

/** The folder that a path lies in; `/` and `.` lie in themselves. */
export function parentOf(path: string): string {
  const end = path.replace(/\/+$/, '').lastIndexOf('/');
  if (end < 0) return path.startsWith('/') ? '/' : '.';
  return path.slice(0, end).replace(/\/+$/, '') || '/';
}

/** Removes a file; false when it is not there. Throws FileError. */
export function removeFile(path: string): boolean {
  if (libc().unlink(cString(path)) === 0) return true;
  const error = failed(`remove ${path}`);
  if (isNotFound(error)) return false;
  throw error;
}

/** `link(2)`: a second name. Throws FileError, EEXIST when the name is taken. */
export function linkFile(from: string, to: string): void {
  if (libc().link(cString(from), cString(to)) === -1) throw failed(`link ${from} to ${to}`);
}

/** `rename(2)`. Throws FileError. */
export function renameFile(from: string, to: string): void {
  if (libc().rename(cString(from), cString(to)) === -1) throw failed(`rename ${from} to ${to}`);
}

/** `access(2)`; false for every error. */
export function isAccessible(path: string, mode: number): boolean {
  return libc().access(cString(path), mode) === 0;
}

/** The names in a folder, without `.` and `..`. Throws FileError. */
export function readDirectory(path: string): string[] {
  const fd = openFile(path, O.RDONLY);
  try {
    const names: string[] = [];
    const number = machine().SYS_getdents64;
    const buffer = new Uint8Array(32 * 1024);
    for (;;) {
      const length = Number(libc().syscall(number, fd, buffer, buffer.length, 0, buffer));
      if (length === -1) throw failed(`read folder ${path}`);
      if (length === 0) return names;
      addNames(names, buffer, length);
    }
  } finally {
    closeFile(fd);
  }
}

/** `struct linux_dirent64`: inode 8, offset 8, length 2, type 1, then the name with its NUL. */
function addNames(names: string[], buffer: Uint8Array, length: number): void {
  for (let at = 0; at < length;) {
    const size = readU16(buffer, at + 16);
    if (size < 19) return;
    const end = buffer.indexOf(0, at + 19);
    const name = decoder.decode(buffer.subarray(at + 19, end));
    if (name !== '.' && name !== '..') names.push(name);
    at += size;
  }
}

/** Which file a path leads to, and what it is. */
export interface FileIdentity {
  /** Equal for two paths to one file, different for two files. */
  readonly id: string;
  readonly isFile: boolean;
}

/** `statx(2)`; undefined when there is nothing. Throws FileError. */
export function identify(
  path: string,
  { followLink = true }: { readonly followLink?: boolean } = {},
): FileIdentity | undefined {
  const flags = followLink ? 0 : AT_SYMLINK_NOFOLLOW;
  const name = encoder.encode(`${cString(path)}\0`);
  const stat = new Uint8Array(STATX.SIZE);
  const number = machine().SYS_statx;
  if (Number(libc().syscall(number, AT_FDCWD, name, flags, STATX_BASIC_STATS, stat)) === -1) {
    const error = failed(`stat ${path}`);
    if (isNotFound(error) || hasErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
  return {
    id: `${readU64(stat, STATX.DEV)}:${readU64(stat, STATX.INO)}`,
    isFile: (readU16(stat, STATX.MODE) & S_IFMT) === S_IFREG,
  };
}

/**
 * Ends the process at once, without the engine's own end: nothing may be left to write. Of a process that lives
 * milliseconds the engine's end is a noticeable part.
 */
export function exitNow(code: number): never {
  libc()._exit(code);
  throw new FlannelError('bug', '_exit returned');
}
