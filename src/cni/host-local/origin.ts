import { identify } from '#ffi/file-system.ts';

/** What the side file of a reservation says: when it was made, for whom, and for which namespace. */
export interface Origin {
  readonly bootId: string;
  /** The text of the reservation itself: a side file of a former holder says nothing about the present one. */
  readonly holder: string;
  /** Missing when the container's namespace could not be identified, and in side files of old versions. */
  readonly netns?: NetnsOrigin | undefined;
}

export interface NetnsOrigin {
  /** The mount namespace in which `path` means something. */
  readonly mounts: string;
  /** The namespace's file, by device and inode. */
  readonly id: string;
  readonly path: string;
}

const BREAK = '\r\n';

/** The lines: boot, holder (one or two lines), then `netns <mounts> <id> <path>` when it is known. */
export function renderOrigin({ bootId, holder, netns }: Origin): string {
  const lines = [bootId, holder];
  if (netns !== undefined) lines.push(`netns ${netns.mounts} ${netns.id} ${netns.path}`);
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
  const [, holder = '', mounts = '', id = '', path = ''] = found;
  return { bootId, holder, netns: { mounts, id, path } };
}

function identityOf(path: string): string | undefined {
  try {
    return identify(path)?.id;
  } catch {
    return undefined;
  }
}

/** The namespace at `path` as it is now; undefined when there is none to go by. */
export function netnsOrigin(path: string): NetnsOrigin | undefined {
  const mounts = identityOf('/proc/self/ns/mnt');
  const id = path === '' ? undefined : identityOf(path);
  return mounts === undefined || id === undefined ? undefined : { mounts, id, path };
}

/**
 * True when the namespace is certainly gone: its path, seen from the same mount namespace, is missing or another file. A
 * container whose namespace is gone cannot have an address.
 */
export function isGone({ mounts, id, path }: NetnsOrigin): boolean {
  if (identityOf('/proc/self/ns/mnt') !== mounts) return false;
  try {
    return identify(path)?.id !== id;
  } catch {
    return false;
  }
}
