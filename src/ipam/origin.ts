import { identify, parentOf } from '#ffi/file-system.ts';

/** What the side file of a reservation says: when it was made, for whom, and for which namespace. */
export interface Origin {
  readonly bootId: string;
  /** The text of the reservation itself: a side file of a former holder says nothing about the present one. */
  readonly holder: string;
  /** Missing when the container's namespace could not be identified, and in side files of old versions. */
  readonly netns?: NetnsOrigin | undefined;
}

export interface NetnsOrigin {
  /** The folder by which another process knows that it sees `path` where the writer saw it: see `anchorOf`. */
  readonly anchor: string;
  /** The namespace's file, by device and inode. */
  readonly id: string;
  readonly path: string;
}

const BREAK = '\r\n';

/** The lines: boot, holder (one or two lines), then `netns <anchor> <id> <path>` when it is known. */
export function renderOrigin({ bootId, holder, netns }: Origin): string {
  const lines = [bootId, holder];
  if (netns !== undefined) lines.push(`netns ${netns.anchor} ${netns.id} ${netns.path}`);
  return lines.join(BREAK);
}

/** Undefined for a text that is no side file's. */
export function parseOrigin(text: string): Origin | undefined {
  const first = text.indexOf(BREAK);
  if (first <= 0) return undefined;
  const bootId = text.slice(0, first);
  const rest = text.slice(first + BREAK.length);
  // Neither a container ID nor an interface name holds a blank.
  const found = /^(.*?)\r\nnetns (\S+) (\S+) (.+)$/s.exec(rest);
  if (found === null) return { bootId, holder: rest };
  const [, holder = '', anchor = '', id = '', path = ''] = found;
  return { bootId, holder, netns: { anchor, id, path } };
}

function identityOf(path: string): string | undefined {
  try {
    return identify(path)?.id;
  } catch {
    return undefined;
  }
}

/** The folder of the namespace's file; below /proc, where folders come and go with processes, that of the file system. */
function anchorOf(path: string): string {
  return path.startsWith('/proc/') ? '/proc' : parentOf(path);
}

/** The namespace at `path` as it is now; undefined when there is none to go by. */
export function netnsOrigin(path: string): NetnsOrigin | undefined {
  if (path === '') return undefined;
  const anchor = identityOf(anchorOf(path));
  const id = identityOf(path);
  return anchor === undefined || id === undefined ? undefined : { anchor, id, path };
}

/**
 * True when the namespace is certainly gone: its path, seen in the very folder where it was, is missing or another
 * namespace's. A container whose namespace is gone cannot have an address. Who sees the folder, but not what is mounted
 * in it (a pod), finds a file of the folder's own file system there: that says nothing.
 */
export function isGone({ anchor, id, path }: NetnsOrigin): boolean {
  try {
    if (identityOf(anchorOf(path)) !== anchor) return false;
    const now = identify(path)?.id;
    if (now === undefined) return identify(path, { followLink: false }) === undefined;
    return now !== id && deviceOf(now) === deviceOf(id);
  } catch {
    return false;
  }
}

/** True when the namespace is there, under its path and seen from here. */
export function isThere({ id, path }: NetnsOrigin): boolean {
  return identityOf(path) === id;
}

function deviceOf(id: string): string {
  return id.slice(0, id.indexOf(':'));
}
