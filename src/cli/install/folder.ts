import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FlannelError, hasErrno } from '#base/errors.ts';
import { tryLockExclusive } from '#ffi/file.ts';

const WAIT_MS = 60_000;
const POLL_MS = 50;

/** What a run that was killed has left: the copy of the program, links to it, texts that were not renamed yet. */
const LEFT_OVER =
  /^\.flannel-[0-9a-f]+(?:\.link)?$|^(?:\.flannel-installed\.json|10-flannel\.conflist)\.new-/;

/**
 * Does `work` while nobody else installs into the folder, which is made when it is missing: two versions at once would leave a mixture
 * that neither knows as its own. Where the file system knows no locks, it is done all the same. Throws when the other one takes a minute.
 */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const fd = writable(folder, () => openSync(folder, 'r'));
  try {
    for (let waited = 0; !locked(fd); waited += POLL_MS) {
      if (waited >= WAIT_MS) {
        throw new FlannelError('operator', `another install-cni has been at work on ${folder} for a minute`, {
          cure: `Find it with \`fuser --verbose ${folder}\`, and end it when it hangs`,
        });
      }
      await Bun.sleep(POLL_MS);
    }
    return await work();
  } finally {
    closeSync(fd);
  }
}

function locked(fd: number): boolean {
  try {
    return tryLockExclusive(fd);
  } catch (error) {
    // NFS, for example, locks no folders.
    if (hasErrno(error, 'EBADF') || hasErrno(error, 'ENOLCK') || hasErrno(error, 'EOPNOTSUPP')) return true;
    throw error;
  }
}

/** Paths of what killed runs have left in the folder. */
export function leftOvers(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => LEFT_OVER.test(name))
      .map((name) => join(folder, name));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

export function sweep(folder: string): void {
  for (const path of leftOvers(folder)) rmSync(path, { force: true });
}

/** Makes new names of the folder outlast a loss of power. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } catch (error) {
    // Some file systems have nothing to do there, and say so in this way.
    if (!hasErrno(error, 'EINVAL')) throw error;
  } finally {
    closeSync(fd);
  }
}

/** Makes a folder on the host, and says it clearly when the host does not let us write there. */
export function writable<T>(folder: string, work: () => T): T {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    return work();
  } catch (error) {
    const refused = (['EROFS', 'EACCES', 'EPERM'] as const).some((name) => hasErrno(error, name));
    const full = hasErrno(error, 'ENOSPC') || hasErrno(error, 'EDQUOT');
    if (!refused && !full) throw error;
    throw new FlannelError('operator', `${folder} cannot be written`, {
      cause: error,
      cure: full
        ? 'Make room on this file system: the plugins need about 120 MB'
        : 'Mount the folder of the host there, writable; where the host forbids it, name another folder that the runtime reads with --bin-dir or --conf-dir',
    });
  }
}
