import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  linkSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ERRNO } from '#base/errors.ts';
import {
  ACCESS,
  closeFile,
  FileError,
  identify,
  isAccessible,
  linkFile,
  makeDirectories,
  O,
  openFile,
  overwriteText,
  parentOf,
  readDescriptor,
  readDirectory,
  readText,
  removeFile,
  renameFile,
  tryReadText,
  writeDescriptor,
  writeText,
} from './file-system.ts';

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'file-system-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function errnoOf(call: () => unknown): number {
  try {
    call();
  } catch (error) {
    if (error instanceof FileError) return error.errno;
    throw error;
  }
  return 0;
}

describe('text', () => {
  test('of every size comes back as it was written', () => {
    const path = join(dir, 'text');
    for (const size of [0, 1, 4095, 4096, 4097, 16_384, 100_000, 1_000_000]) {
      const text = 'aß€😀'.repeat(size).slice(0, size);
      writeText(path, text, { mode: 0o600 });
      expect(readText(path)).toBe(Buffer.from(text).toString('utf8'));
      expect(readFileSync(path, 'utf8')).toBe(Buffer.from(text).toString('utf8'));
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('a byte order mark is kept, as the bytes are', () => {
    const path = join(dir, 'bom');
    writeFileSync(path, '\ufeff{}');
    expect(readText(path)).toBe('\ufeff{}');
  });

  test('without a mode a file must be there and is not cut', () => {
    const path = join(dir, 'kept');
    expect(errnoOf(() => writeText(path, '1'))).toBe(ERRNO.ENOENT);
    writeFileSync(path, '000');
    writeText(path, '1');
    expect(readText(path)).toBe('100');
  });

  test('overwritten, whatever stood there', () => {
    const path = join(dir, 'hint');
    for (const text of ['10.9.0.100', '10.9.0.2', '', '10.9.0.33']) {
      overwriteText(path, text, 0o600);
      expect(readFileSync(path, 'utf8')).toBe(text);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('of /proc, whose files have no size', () => {
    expect(readText('/proc/self/cgroup')).toBe(readFileSync('/proc/self/cgroup', 'utf8'));
    expect(readText('/proc/self/stat')).toStartWith(`${process.pid} (`);
  });

  test('what is not there, and a folder', () => {
    expect(tryReadText(join(dir, 'none'))).toBeUndefined();
    expect(tryReadText(dir)).toBeUndefined();
    expect(errnoOf(() => readText(dir))).toBe(ERRNO.EISDIR);
    expect(() => readText(join(dir, 'none'))).toThrow(`open ${dir}/none: no such file or object (ENOENT)`);
    expect(() => readText('a\0b')).toThrow('NUL');
  });
});

describe('descriptors', () => {
  test('a limit, and what is not open', () => {
    const path = join(dir, 'limit');
    writeFileSync(path, 'x'.repeat(5000));
    for (const [limit, length] of [
      [4999, undefined],
      [5000, 5000],
    ] as const) {
      const fd = openFile(path, O.RDONLY);
      expect(readDescriptor(fd, limit, { what: path })?.length).toBe(length);
      closeFile(fd);
    }
    expect(() => readDescriptor(-1, 1, { what: 'nothing' })).toThrow('read nothing: EBADF');
    expect(() => writeDescriptor(-1, 'x', { what: 'nothing' })).toThrow('write nothing: EBADF');
  });

  test('what is not ready yet is waited for, and is an error without patience', async () => {
    const fifo = join(dir, 'fifo');
    expect(Bun.spawnSync(['mkfifo', fifo]).success).toBe(true);
    // Both ends, so that opening does not wait.
    const fd = openFile(fifo, O_RDWR | O_NONBLOCK);
    const what = 'fifo';
    expect(errnoOf(() => readDescriptor(fd, 1 << 21, { what }))).toBe(ERRNO.EAGAIN);
    expect(errnoOf(() => writeDescriptor(fd, 'x'.repeat(1 << 20), { what }))).toBe(ERRNO.EAGAIN);
    const reader = openFile(fifo, O.RDONLY | O_NONBLOCK);
    const drain = () => expect(errnoOf(() => readDescriptor(reader, 1 << 21, { what }))).toBe(ERRNO.EAGAIN);
    drain();
    let waits = 0;
    const wait = () => {
      waits += 1;
      drain();
    };
    writeDescriptor(fd, 'x'.repeat(1 << 20), { what, wait });
    expect(waits).toBeGreaterThan(5);
    closeFile(fd);
    closeFile(reader);
  });
});

describe('folders', () => {
  test('are made with those above, once', () => {
    const path = join(dir, 'a/b/c');
    makeDirectories(path, 0o700);
    makeDirectories(path, 0o700);
    makeDirectories(`${path}/`, 0o700);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    writeFileSync(join(dir, 'file'), '');
    expect(errnoOf(() => makeDirectories(join(dir, 'file'), 0o700))).toBe(ERRNO.ENOTDIR);
    expect(errnoOf(() => makeDirectories(join(dir, 'file/x'), 0o700))).toBe(ERRNO.ENOTDIR);
  });

  test('list every name, also when they do not fit one call', () => {
    const path = join(dir, 'many');
    mkdirSync(path);
    const names = Array.from({ length: 600 }, (_, i) => `${i}-${'ä'.repeat(i % 100)}`);
    for (const name of names) writeFileSync(join(path, name), '');
    expect(readDirectory(path).sort()).toEqual(names.sort());
    expect(errnoOf(() => readDirectory(join(path, 'none')))).toBe(ERRNO.ENOENT);
    expect(errnoOf(() => readDirectory(join(dir, 'file')))).toBe(ERRNO.ENOTDIR);
  });

  test.each(['/a/b', '/a/b/', '/a', '/', 'a', 'a/b', '.', ''])('the parent of %j', (path) => {
    expect(parentOf(path)).toBe(dirname(path));
  });
});

test('names: link, rename, remove', () => {
  const [a, b, c] = [join(dir, 'na'), join(dir, 'nb'), join(dir, 'nc')];
  writeFileSync(a, '1');
  linkFile(a, b);
  expect(errnoOf(() => linkFile(a, b))).toBe(ERRNO.EEXIST);
  expect(identify(a)?.id).toBe(identify(b)?.id);
  renameFile(b, c);
  expect([removeFile(b), removeFile(c), removeFile(a)]).toEqual([false, true, true]);
  expect(errnoOf(() => removeFile(dir))).toBe(ERRNO.EISDIR);
});

test('identity and kind', () => {
  const file = join(dir, 'id');
  writeFileSync(file, '');
  linkSync(file, join(dir, 'id2'));
  symlinkSync(file, join(dir, 'id3'));
  const { ino, dev } = statSync(file);
  expect(identify(file)?.isFile).toBe(true);
  expect(identify(join(dir, 'id3'))?.id).toBe(identify(file)?.id);
  expect(identify(join(dir, 'id3'), { followLink: false })?.isFile).toBe(false);
  expect(identify(dir)?.isFile).toBe(false);
  expect(identify(dir)?.id).not.toBe(identify(file)?.id);
  expect(identify(file)?.id).toEndWith(`:${ino}`);
  expect(statSync(dir).dev).toBe(dev);
  expect(identify(join(dir, 'none'))).toBeUndefined();
  expect(identify(join(file, 'below'))).toBeUndefined();
});

test('access', () => {
  expect(isAccessible(process.execPath, ACCESS.EXECUTE)).toBe(true);
  expect(isAccessible(join(dir, 'none'), ACCESS.EXISTS)).toBe(false);
  writeFileSync(join(dir, 'plain'), '', { mode: 0o644 });
  expect(isAccessible(join(dir, 'plain'), ACCESS.EXECUTE)).toBe(false);
});
