import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrno } from '#base/errors.ts';
import { isObject } from '#lab/cni/conflist.ts';
import { NotAsked } from '../finding.ts';

/** A file that a container runtime reads. */
export interface CniFile {
  readonly path: string;
  readonly text: string;
  /** It names the plugin flannel. */
  readonly isFlannel: boolean;
  /** Why it is no JSON object; undefined when it is one. */
  readonly problem: string | undefined;
}

/** What libcni takes for configurations (`ConfFiles` of its API), in the order of names. Throws NotAsked without the folder. */
export function cniFiles(folder: string): readonly CniFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    throw new NotAsked(`${folder} is not there; name the folder of the runtime with --conf-dir`);
  }
  return names
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .sort()
    .map((name) => readCniFile(join(folder, name)));
}

function readCniFile(path: string): CniFile {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { path, text, isFlannel: false, problem: `cannot be read (${String(error)})` };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { path, text, isFlannel: false, problem: 'is not JSON' };
  }
  if (!isObject(value)) return { path, text, isFlannel: false, problem: 'is not a JSON object' };
  const plugins: readonly unknown[] = Array.isArray(value['plugins']) ? value['plugins'] : [value];
  const isFlannel = plugins.some((plugin) => isObject(plugin) && plugin['type'] === 'flannel');
  return { path, text, isFlannel, problem: undefined };
}
