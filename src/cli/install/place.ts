import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { hasErrno } from '#base/errors.ts';
import { syncFolder } from './folder.ts';

/** SHA-256 of a file, hexadecimal; undefined when it is not there. */
async function digestOf(path: string): Promise<string | undefined> {
  const hash = new Bun.CryptoHasher('sha256');
  try {
    for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  return hash.digest('hex');
}

/** As `digestOf`, but reads a file once however many names it has: all plugins are one file of 100 MB. */
export function digestReader(): (path: string) => Promise<string | undefined> {
  const known = new Map<string, Promise<string | undefined>>();
  return async (path) => {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    const inode = `${found.dev}:${found.ino}`;
    const digest = known.get(inode) ?? digestOf(path);
    known.set(inode, digest);
    return digest;
  };
}

/**
 * Puts one copy of `source` under each name: written beside them, made durable, then renamed over each, so that a runtime that calls
 * a plugin meanwhile gets the old or the new one, whole. A running plugin keeps the file it was started from.
 */
export function placePrograms(source: string, folder: string, names: readonly string[]): void {
  // A name that no other run has, killed ones included: theirs may be another name of a plugin in use.
  const copy = join(folder, `.flannel-${unique()}`);
  const link = `${copy}.link`;
  try {
    copyFileSync(source, copy, constants.COPYFILE_EXCL);
    settle(copy, 0o755);
    for (const name of names) {
      rmSync(link, { force: true });
      linkSync(copy, link);
      renameSync(link, join(folder, name));
    }
  } finally {
    rmSync(copy, { force: true });
    rmSync(link, { force: true });
  }
  syncFolder(folder);
}

function unique(): string {
  return crypto.randomUUID().slice(0, 8);
}

/** Writes a text file whole or not at all; nothing when it says this already. Returns whether it was written. */
export function placeText(path: string, text: string): boolean {
  if (readText(path) === text) return false;
  // The name must not end like a configuration: runtimes read every file of this folder that does.
  const temporary = `${path}.new-${unique()}`;
  try {
    writeFileSync(temporary, text, { flag: 'wx' });
    settle(temporary, 0o644);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  syncFolder(dirname(path));
  return true;
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Owner root, mode, on disk. */
function settle(path: string, mode: number): void {
  const fd = openSync(path, 'r+');
  try {
    if (process.getuid?.() === 0) fchownSync(fd, 0, 0);
    fchmodSync(fd, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
