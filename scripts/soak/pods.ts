import { existsSync, rmSync } from 'node:fs';
import { firstAddress } from '#lab/cni/conflist.ts';
import { CniRuntime } from '#lab/cni/runtime.ts';
import { podNetnsPath } from '#lab/process/places.ts';
import { runOrThrow } from '#lab/process/run.ts';
import { makePodNamespace } from '#lab/serve/namespaces.ts';
import type { Family } from '#net/family.ts';
import type { SoakNode } from './node.ts';

/** A wired pod. */
export interface SoakPod {
  readonly name: string;
  readonly containerId: string;
  readonly addresses: Partial<Record<Family, string>>;
  /** File of its network namespace, seen from the machine. */
  readonly netns: string;
}

export interface PodParts {
  readonly env: Readonly<Record<string, string>>;
  /** Name of the pod, unique over the run. */
  readonly name: string;
}

/** Makes a namespace and wires it; the pod is on the node's list when it is done. */
export async function addPod(node: SoakNode, { env, name }: PodParts): Promise<SoakPod> {
  await makePodNamespace(node.state, name, env);
  const containerId = freshId();
  const result = await new CniRuntime(node.state, env).add({ name, containerId });
  const pod = { name, containerId, addresses: addressesOf(result), netns: podNetnsPath(node.state, name) };
  node.pods.push(pod);
  return pod;
}

/** DEL, then the namespace goes. */
export async function deletePod(
  node: SoakNode,
  pod: SoakPod,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await new CniRuntime(node.state, env).del(pod);
  await removeNamespace(node, pod.name, env);
}

/** How a plugin is killed in the middle. */
export interface Kill {
  readonly during: 'ADD' | 'DEL';
  /** ms after the runtime's first call. */
  readonly after: number;
  /** The machine has gone down meanwhile: the namespace is no longer there when DEL is called again. */
  readonly namespaceLost: boolean;
}

/**
 * A pod whose ADD or DEL is killed in the middle. The runtime then does as containerd does: DEL until it succeeds, and a
 * new sandbox under another container ID, which must be wired as if nothing had happened.
 */
export async function killedPod(node: SoakNode, parts: PodParts, kill: Kill): Promise<SoakPod> {
  const { env, name } = parts;
  const runtime = new CniRuntime(node.state, env);
  const pod = { name, containerId: freshId() };
  await makePodNamespace(node.state, name, env);
  if (kill.during === 'ADD') await ignoringItsEnd(runtime.add(pod, kill.after));
  else {
    await runtime.add(pod);
    await ignoringItsEnd(runtime.del(pod, kill.after));
  }
  if (kill.namespaceLost) await removeNamespace(node, name, env);
  await runtime.del(pod);
  if (!kill.namespaceLost) await removeNamespace(node, name, env);
  return addPod(node, parts);
}

async function ignoringItsEnd(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch {
    // Killed, as intended.
  }
}

async function removeNamespace(
  node: SoakNode,
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const path = podNetnsPath(node.state, name);
  if (!existsSync(path)) return;
  const enter = ['nsenter', `--mount=/proc/${node.pid}/ns/mnt`, '--'];
  await runOrThrow([...enter, 'umount', `/run/netns/${name}`], { env });
  rmSync(path);
}

function freshId(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

function addressesOf(result: Readonly<Record<string, unknown>>): SoakPod['addresses'] {
  const ips = Array.isArray(result['ips']) ? (result['ips'] as readonly unknown[]) : [];
  const found: Partial<Record<Family, string>> = {};
  for (const ip of ips) {
    const address = firstAddress({ ips: [ip] });
    if (address !== undefined) found[address.includes(':') ? 'ipv6' : 'ipv4'] = address;
  }
  return found;
}
