import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Subprocess } from 'bun';
import { FlannelError } from '#base/errors.ts';
import { firstAddress, FLANNEL_CONFLIST } from '../cni/conflist.ts';
import { CniRuntime, type PluginSet } from '../cni/runtime.ts';
import { originalDelegate, type OriginalNode } from '../migrate/original.ts';
import { podNetnsPath } from '../process/places.ts';
import { runOrThrow } from '../process/run.ts';
import type { NodeState, PodState } from '../state/state.ts';
import type { ClusterParts } from './cluster.ts';
import { startEcho } from './echo.ts';
import { makePodNamespace } from './namespaces.ts';

/** Debian's containernetworking-plugins: the reference. */
const REFERENCE = '/usr/lib/cni';
const NEEDED = ['bridge', 'host-local', 'portmap', 'loopback'];

/** Whose plugins wire a pod: those of the node's conflist, or the original's. */
export type Plugins = 'ours' | 'original';

/** The pods of a lab, as the kubelets of its nodes have them. */
export class PodKeeper {
  readonly #parts: ClusterParts;
  readonly #originals: ReadonlyMap<string, OriginalNode>;
  readonly #servers = new Map<string, Subprocess>();

  /** `originals`: what the original knew of the nodes, where they were its. */
  constructor(parts: ClusterParts, originals: ReadonlyMap<string, OriginalNode>) {
    this.#parts = parts;
    this.#originals = originals;
  }

  async start(node: NodeState, name: string, plugins: Plugins): Promise<PodState> {
    const { env, store, manager, paths } = this.#parts;
    const containerId = crypto.getRandomValues(new Uint8Array(32)).toHex();
    await makePodNamespace(node, name, env);
    if (plugins === 'original') this.#keepDelegate(node, containerId);
    const ip = firstAddress(await this.#runtime(node, plugins).add({ name, containerId }));
    if (ip === undefined) throw new FlannelError('bug', `the CNI result for ${name} has no address`);
    const pod = { name, node: node.name, containerId, ip };
    const place = { kind: 'pod', name, pod, node } as const;
    this.#servers.set(name, await startEcho(place, { env, log: paths.log }));
    store.addPod(pod);
    manager.addPod(pod, node);
    return pod;
  }

  /** Deletes the pod and makes another of its name, both by these plugins. */
  async replace(name: string, plugins: Plugins): Promise<PodState> {
    const { env, store, manager } = this.#parts;
    const pod = store.state.pods.find((each) => each.name === name);
    const node = store.state.nodes.find((each) => each.name === pod?.node);
    if (pod === undefined || node === undefined)
      throw new FlannelError('operator', `there is no pod ${name}`);
    const server = this.#servers.get(name);
    server?.kill('SIGKILL');
    await server?.exited;
    await this.#runtime(node, plugins).del(pod);
    if (plugins === 'original') rmSync(this.#delegatePath(node, pod.containerId), { force: true });
    const enter = ['nsenter', `--mount=/proc/${node.pid}/ns/mnt`, '--'];
    await runOrThrow([...enter, 'umount', `/run/netns/${name}`], { env });
    rmSync(podNetnsPath(node, name));
    store.removePod(name);
    manager.removePod(name);
    return this.start(node, name, plugins);
  }

  #runtime(node: NodeState, plugins: Plugins): CniRuntime {
    return new CniRuntime(node, this.#parts.env, plugins === 'ours' ? undefined : this.#pluginSet(node));
  }

  /** The list as `bridge` and `portmap` see it behind the original's `flannel`. */
  #pluginSet(node: NodeState): PluginSet {
    const [, portmap] = FLANNEL_CONFLIST.plugins;
    const { name, cniVersion } = FLANNEL_CONFLIST;
    return {
      conflist: { name, cniVersion, plugins: [originalDelegate(this.#original(node)), portmap] },
      folder: referenceFolder(),
    };
  }

  #keepDelegate(node: NodeState, containerId: string): void {
    const path = this.#delegatePath(node, containerId);
    mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true, mode: 0o700 });
    writeFileSync(path, JSON.stringify(originalDelegate(this.#original(node))), { mode: 0o600 });
  }

  #delegatePath(node: NodeState, containerId: string): string {
    return `/proc/${node.pid}/root/var/lib/cni/flannel/${containerId}`;
  }

  #original(node: NodeState): OriginalNode {
    const original = this.#originals.get(node.name);
    if (original === undefined) throw new FlannelError('bug', `${node.name} was no node of the original`);
    return original;
  }
}

/** Where the reference plugins are; undefined without them. */
export function referenceFolder(): string | undefined {
  return NEEDED.every((name) => existsSync(`${REFERENCE}/${name}`)) ? REFERENCE : undefined;
}
