import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrno } from '#base/errors.ts';
import { isOurs, parseRecord, PLUGINS } from '../install/decide.ts';
import { leftOvers } from '../install/folder.ts';
import { digestReader, readText } from '../install/place.ts';
import { CONFLIST, RECORD } from '../install/main.ts';
import type { Removal } from './remove.ts';

export interface FileCleanup {
  /** `/opt/cni/bin`. */
  readonly binDir: string;
  /** `/etc/cni/net.d`. */
  readonly confDir: string;
  /** `/run/flannel`. */
  readonly runDir: string;
  /** `/var/lib/cni`. */
  readonly cniDir: string;
}

export interface FileRemovals {
  /** Goes before everything else: no pod is to start while the rest goes. */
  readonly conflist: readonly Removal[];
  /** Goes last: what the agent wrote down of its routes is needed until they are gone. */
  readonly others: readonly Removal[];
}

/** Files of ours that are there. */
export async function fileRemovals(folders: FileCleanup): Promise<FileRemovals> {
  const { confDir, runDir, cniDir, binDir } = folders;
  const conflist = join(confDir, CONFLIST);
  const network = networkOf(conflist);
  const paths = [
    runDir,
    // Reservations of our networks only; others have folders of their own.
    ...[...new Set([network ?? [], networksOfPods(join(cniDir, 'flannel'))].flat())].map((name) =>
      join(cniDir, 'networks', name),
    ),
    join(cniDir, 'flannel'),
    ...(await ourPrograms(binDir)),
  ];
  return {
    conflist: network === undefined ? [] : [removalOf(conflist)],
    others: paths.filter((path) => existsSync(path)).map(removalOf),
  };
}

function removalOf(path: string): Removal {
  return { what: path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The network's name in the conflist; undefined when there is none, or none of flannel's. */
function networkOf(path: string): string | undefined {
  try {
    const list = JSON.parse(readFileSync(path, 'utf8')) as { name?: unknown; plugins?: unknown };
    const plugins = Array.isArray(list.plugins) ? (list.plugins as { type?: unknown }[]) : [];
    const ours = plugins.some((plugin) => plugin?.type === 'flannel');
    return ours ? networkName(list.name) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Names of networks in what the plugin keeps of each pod. A cleanup that was interrupted has taken the conflist away already; after
 * the reservations go these files.
 */
function networksOfPods(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((container) => {
    const name = nameIn(join(folder, container));
    return name === undefined ? [] : [name];
  });
}

function nameIn(path: string): string | undefined {
  try {
    return networkName((JSON.parse(readFileSync(path, 'utf8')) as { name?: unknown } | null)?.name);
  } catch {
    // Torn by a crash, or a folder: it names no network.
    return undefined;
  }
}

/** A name that can be a part of a path. */
function networkName(name: unknown): string | undefined {
  return typeof name === 'string' && /^[A-Za-z0-9][\w.-]*$/.test(name) ? name : undefined;
}

/** Programs that `install-cni` wrote down and nobody has replaced since, and the record itself. */
async function ourPrograms(folder: string): Promise<string[]> {
  const record = parseRecord(readText(join(folder, RECORD)) ?? '');
  const left = leftOvers(folder);
  if (record === undefined) return left;
  const digestOf = digestReader();
  const paths: string[] = [];
  for (const plugin of PLUGINS) {
    const path = join(folder, plugin);
    const digest = await digestOf(path);
    if (digest !== undefined && isOurs(record, plugin, digest)) paths.push(path);
  }
  return [...paths, ...left, join(folder, RECORD)];
}

/** Process id of an agent that works on this network namespace, in a container or not. */
export function runningAgent(proc = '/proc'): number | undefined {
  const agents = readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && isFlanneld(pid, proc));
  // Without the rights to look, one that may be here counts when none certainly is.
  return (
    agents.find((pid) => sameNetwork(pid, proc) === true) ??
    agents.find((pid) => sameNetwork(pid, proc) === undefined)
  );
}

function isFlanneld(pid: number, proc: string): boolean {
  try {
    const [first = ''] = readFileSync(`${proc}/${pid}/cmdline`, 'utf8').split('\0');
    return first.slice(first.lastIndexOf('/') + 1) === 'flanneld';
  } catch {
    return false;
  }
}

/** An agent of another network namespace (a lab) is none of our business. Undefined: nobody may say. */
function sameNetwork(pid: number, proc: string): boolean | undefined {
  try {
    return readlinkSync(`${proc}/${pid}/ns/net`) === readlinkSync(`${proc}/self/ns/net`);
  } catch (error) {
    return hasErrno(error, 'ENOENT') ? false : undefined;
  }
}
