import { describe, expect, test } from 'bun:test';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockExclusive, mount, tryLockExclusive, unlock } from './file.ts';
import { cString } from './libc.ts';

function withFile(work: (open: () => number) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'flannel-lock-'));
  const opened: number[] = [];
  try {
    work(() => {
      const fd = openSync(join(directory, 'lock'), 'w');
      opened.push(fd);
      return fd;
    });
  } finally {
    for (const fd of opened) closeSync(fd);
    rmSync(directory, { recursive: true });
  }
}

describe('file locks', () => {
  test('one holder at a time', () => {
    withFile((open) => {
      const [a, b] = [open(), open()];
      lockExclusive(a);
      expect(tryLockExclusive(b)).toBe(false);
      unlock(a);
      expect(tryLockExclusive(b)).toBe(true);
      expect(tryLockExclusive(a)).toBe(false);
    });
  });

  test('the lock goes with its descriptor', () => {
    const directory = mkdtempSync(join(tmpdir(), 'flannel-lock-'));
    const path = join(directory, 'lock');
    const a = openSync(path, 'w');
    lockExclusive(a);
    closeSync(a);
    const b = openSync(path, 'w');
    expect(tryLockExclusive(b)).toBe(true);
    closeSync(b);
    rmSync(directory, { recursive: true });
  });

  test('errors name the call', () => {
    expect(() => lockExclusive(-1)).toThrow('flock: EBADF');
    expect(() => tryLockExclusive(-1)).toThrow('flock: EBADF');
    expect(() => unlock(-1)).toThrow('flock: EBADF');
  });
});

describe('strings for C', () => {
  test('a NUL byte is refused, not a cut', () => {
    expect(() => cString('/run/netns/a\0b')).toThrow('holds a NUL byte');
    expect(cString('/run/netns/ä')).toBe('/run/netns/ä');
    expect(() => mount({ source: '/a\0', target: '/b', type: '', flags: 0 })).toThrow('holds a NUL byte');
  });

  test('an error of mount says what was to go where', () => {
    expect(() => mount({ source: '/not-there', target: '/nor-there', type: '', flags: 4096 })).toThrow(
      /^mount \/not-there on \/nor-there: /,
    );
  });
});
