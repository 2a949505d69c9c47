import { hasErrno } from '#base/errors.ts';
import {
  makeDirectories,
  readDirectory,
  removeFile,
  renameFile,
  tryReadText,
  writeText,
} from '#ffi/file-system.ts';
import { isIdentifier } from '#base/identifier.ts';
import { sortedJson, type JsonObject } from '../json.ts';
import { isDelegateConfig } from './config.ts';

/**
 * Keeps the delegate configuration of a container for its DEL, mode 0600. A reader sees all of it or nothing; after a power
 * cut it may be damaged, which costs nothing, since DEL can do without it: waiting for the disk here would.
 */
export function saveScratch(dataDir: string, containerId: string, delegate: JsonObject): void {
  makeDirectories(dataDir, 0o700);
  const temporary = unfinished(dataDir, containerId);
  try {
    writeText(temporary, sortedJson(delegate), { mode: 0o600 });
    renameFile(temporary, `${dataDir}/${containerId}`);
  } catch (error) {
    removeFile(temporary);
    throw error;
  }
}

/**
 * What an ADD that was killed may leave: of one name for each container, so that its DEL finds it. A dot in front: no
 * container ID looks like that.
 */
function unfinished(dataDir: string, containerId: string): string {
  // With the dot, the longest ID would be longer than a file name may be.
  return `${dataDir}/.${containerId.slice(0, 254)}`;
}

/** What ADD kept for the container in `network`; undefined when there is nothing, or nothing usable. */
export function loadScratch(dataDir: string, containerId: string, network: string): JsonObject | undefined {
  const kept = readScratch(`${dataDir}/${containerId}`);
  return typeof kept === 'object' && kept['name'] === network ? kept : undefined;
}

function readScratch(path: string): JsonObject | 'missing' | 'damaged' {
  const text = tryReadText(path);
  if (text === undefined) return 'missing';
  try {
    const value: unknown = JSON.parse(text);
    return isDelegateConfig(value) ? value : 'damaged';
  } catch {
    return 'damaged';
  }
}

export function removeScratch(dataDir: string, containerId: string): void {
  removeFile(`${dataDir}/${containerId}`);
  removeFile(unfinished(dataDir, containerId));
}

/**
 * Removes what ADD kept for containers of `network` that are not in `living`, and what is damaged: it belongs to no network
 * that could be told, and DEL does without it.
 */
export function collectScratch(dataDir: string, network: string, living: ReadonlySet<string>): void {
  for (const name of filesOf(dataDir)) {
    const containerId = name.replace(/^\./, '');
    if (!isIdentifier(containerId) || (living.has(containerId) && name === containerId)) continue;
    const kept = readScratch(`${dataDir}/${name}`);
    // A folder is nothing that ADD has made.
    if (kept === 'missing') continue;
    if (kept === 'damaged' || kept['name'] === network) removeFile(`${dataDir}/${name}`);
  }
}

function filesOf(dataDir: string): string[] {
  try {
    return readDirectory(dataDir);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
