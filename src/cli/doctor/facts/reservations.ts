import { isIdentifier } from '#base/identifier.ts';
import { readDirectory, readText } from '#ffi/file-system.ts';
import { Store, type Leftover } from '#ipam/store.ts';
import { Ip } from '#net/ip.ts';
import { NotAsked } from '../finding.ts';

/** The addresses that host-local has given out on this node. */
export interface Reservations {
  /** Addresses with a file, of all networks. */
  readonly held: ReadonlySet<string>;
  /** Those whose pod is certainly gone. */
  readonly leftovers: readonly Leftover[];
}

/** All networks below `root` (a folder each), read without their locks. Throws NotAsked where there is no such folder. */
export function reservationsBelow(root: string): Reservations {
  const bootId = readText('/proc/sys/kernel/random/boot_id').trim();
  const held = new Set<string>();
  const leftovers: Leftover[] = [];
  for (const network of networks(root)) {
    const folder = `${root}/${network}`;
    for (const name of readDirectory(folder)) if (Ip.tryParse(name) !== undefined) held.add(name);
    leftovers.push(...Store.peek(folder, bootId));
  }
  return { held, leftovers };
}

function networks(root: string): string[] {
  try {
    return readDirectory(root).filter(isIdentifier);
  } catch {
    throw new NotAsked(`${root} is not there: host-local has given out no address here`);
  }
}
