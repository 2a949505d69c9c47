import { hasErrno } from '#base/errors.ts';
import {
  makeDirectories,
  readDirectory,
  removeFile,
  renameFile,
  tryReadText,
  writeText,
} from '#ffi/file-system.ts';
import { isIdentifier } from '../environment.ts';
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
  return `${dataDir}/.${containerId}`;
}

/** What ADD kept for the container in `network`; undefined when there is nothing, or nothing usable. */
export function loadScratch(dataDir: string, containerId: string, network: string): JsonObject | undefined {
  const text = tryReadText(`${dataDir}/${containerId}`);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isDelegateConfig(value, network) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function removeScratch(dataDir: string, containerId: string): void {
  removeFile(`${dataDir}/${containerId}`);
  removeFile(unfinished(dataDir, containerId));
}

/** Containers with a kept configuration; none when the folder is missing. */
export function listScratch(dataDir: string): string[] {
  try {
    return readDirectory(dataDir).filter(isIdentifier);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
