import { mkdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { FlannelError } from '#base/errors.ts';
import { systemClock } from '#base/clock.ts';
import { startHeld } from './child.ts';
import { runOrThrow } from '../process/run.ts';
import { podNetnsPath } from '../process/places.ts';

/** How long util-linux may take to make a namespace. */
const LIMIT_MS = 20_000;

/**
 * New namespaces, held by a process that sleeps; returns its id. Nothing is mounted on the machine: they go with the
 * last process in them.
 */
export async function holdNamespaces(
  kinds: { readonly mounts: boolean },
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const flags = kinds.mounts ? ['--net', '--mount', '--propagation=private'] : ['--net'];
  const holder = startHeld(['unshare', ...flags, '--', 'sleep', 'infinity'], { env });
  const own = readlinkSync('/proc/self/ns/net');
  const start = performance.now();
  while (performance.now() - start < LIMIT_MS) {
    if (holder.exitCode !== null) break;
    const comm = namespaceReady(holder.pid, own);
    if (comm) return holder.pid;
    await systemClock.sleep(2);
  }
  throw new FlannelError('kernel', `a network namespace cannot be made (unshare ${flags.join(' ')})`, {
    cure: 'Run as root, or with unprivileged user namespaces allowed',
  });
}

/** True when `sleep` runs: unshare executes it only after all namespaces are there. */
function namespaceReady(pid: number, own: string): boolean {
  try {
    return (
      readlinkSync(`/proc/${pid}/ns/net`) !== own &&
      /\/sleep$|\/busybox$|\/coreutils$/.test(readlinkSync(`/proc/${pid}/exe`))
    );
  } catch {
    return false;
  }
}

/**
 * The network namespace of a pod, as a container runtime makes it: mounted on `/run/netns/<pod>`, here inside the mount
 * namespace of its node alone.
 */
export async function makePodNamespace(
  node: { readonly pid: number },
  pod: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const seen = podNetnsPath(node, pod);
  mkdirSync(`/proc/${node.pid}/root/run/netns`, { recursive: true });
  writeFileSync(seen, '');
  const enter = ['nsenter', `--mount=/proc/${node.pid}/ns/mnt`, '--'];
  await runOrThrow([...enter, 'unshare', `--net=/run/netns/${pod}`, '--', 'true'], { env });
}
