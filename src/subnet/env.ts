import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { parseSubnetEnv, renderSubnetEnv, type SubnetEnv } from './env-text.ts';

export { gatewayOf, parseSubnetEnv, renderSubnetEnv, type SubnetEnv } from './env-text.ts';

/** Reads and parses the file. Throws ConfigError for a bad file; a missing file is the system's ENOENT error. */
export function readSubnetEnv(path: string): SubnetEnv {
  return parseSubnetEnv(readFileSync(path, 'utf8'), path);
}

/** Writes the file, mode 0644, so that a reader sees the old or the new text, never a part; makes its directory. */
export function writeSubnetEnv(path: string, env: SubnetEnv): void {
  const slash = path.lastIndexOf('/');
  const dir = slash < 0 ? '.' : path.slice(0, slash + 1);
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const temporary = `${slash < 0 ? '' : dir}.${path.slice(slash + 1)}.${process.pid}`;
  try {
    const fd = openSync(temporary, 'w', 0o644);
    try {
      const bytes = Buffer.from(renderSubnetEnv(env));
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      // The umask of the process must not hide the file from the plugins.
      fchmodSync(fd, 0o644);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    remove(temporary);
    throw error;
  }
  sync(dir);
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was never made, or is renamed already: the first error is the one to report.
  }
}

/** Makes the rename durable. */
function sync(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
