import { statSync } from 'node:fs';
import { FlannelError, hasErrno } from '#base/errors.ts';
import { DEFAULT_ROOT, type LabPaths } from './paths.ts';

const WITHOUT_ROOT = 'Run it as root, or `npm run lab`, which makes a user namespace';

/** Refuses to start a lab in root's folder without being root. */
export function refuseWithoutRoot(paths: LabPaths): void {
  if (process.getuid?.() !== 0 && paths.root === DEFAULT_ROOT)
    throw new FlannelError('operator', 'the lab needs root', { cure: WITHOUT_ROOT });
}

/** Refuses to touch a lab that somebody else runs. */
export function refuseForeign(paths: LabPaths): void {
  const owner = ownerOf(paths.folder);
  const own = process.getuid?.();
  if (owner !== undefined && own !== 0 && owner !== own)
    throw new FlannelError('operator', `lab "${paths.name}" belongs to another user`, { cure: WITHOUT_ROOT });
}

/** Undefined where there is nothing. A root folder that we may not enter is another's with all that is in it. */
function ownerOf(folder: string): number | undefined {
  try {
    return statSync(folder, { throwIfNoEntry: false })?.uid;
  } catch (error) {
    if (hasErrno(error, 'EACCES')) return 0;
    throw error;
  }
}
