import { constants, statSync } from 'node:fs';
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { programFolder } from '#lab/process/run.ts';

/**
 * The path of a flanneld that is another file than the one that was built: what an upgrade puts in its place. Made once
 * for each build, beside the folder of the programs.
 */
export async function otherBuild(): Promise<string> {
  const built = join(programFolder(), 'flanneld');
  const copy = join(dirname(programFolder()), 'soak', 'flanneld');
  if (isNewer(copy, built)) return copy;
  await mkdir(dirname(copy), { recursive: true });
  // Another soak may be doing the same.
  const fresh = `${copy}.${process.pid}`;
  await copyFile(built, fresh, constants.COPYFILE_FICLONE);
  await rename(fresh, copy);
  return copy;
}

function isNewer(copy: string, built: string): boolean {
  const stat = statSync(copy, { throwIfNoEntry: false });
  return stat !== undefined && stat.mtimeMs >= statSync(built).mtimeMs;
}
