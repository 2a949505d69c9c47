import { readdirSync, readFileSync } from 'node:fs';
import { FlannelError } from '#base/errors.ts';
import { enterArgv } from '../process/places.ts';
import { run } from '../process/run.ts';
import type { NodeState } from '../state/state.ts';
import { isObject, parseConflist, pluginConfiguration, type CniObject, type Conflist } from './conflist.ts';

const NET_D = '/etc/cni/net.d';
const CNI_BIN = '/opt/cni/bin';
const LOOPBACK = { cniVersion: '0.3.1', name: 'cni-loopback', type: 'loopback' };
/** The longest that one plugin may take, ms. */
const LIMIT_MS = 30_000;

/** The container runtime's part of CNI on one node, with the plugins in its `/opt/cni/bin`. */
export class CniRuntime {
  readonly #node: NodeState;
  readonly #env: Readonly<Record<string, string>>;
  readonly #set: PluginSet | undefined;

  /** `set`: other plugins than those that the node has installed. */
  constructor(node: NodeState, env: Readonly<Record<string, string>>, set?: PluginSet) {
    this.#node = node;
    this.#env = env;
    this.#set = set;
  }

  /** The first `*.conflist` by name, as containerd and CRI-O choose it. */
  conflist(): Conflist {
    if (this.#set !== undefined) return this.#set.conflist;
    const folder = `/proc/${this.#node.pid}/root${NET_D}`;
    const [file] = readdirSync(folder)
      .filter((name) => name.endsWith('.conflist'))
      .toSorted();
    if (file === undefined)
      throw new FlannelError('operator', `node ${this.#node.name} has no ${NET_D}/*.conflist`);
    return parseConflist(`${NET_D}/${file}`, readFileSync(`${folder}/${file}`, 'utf8'));
  }

  /**
   * ADD of `loopback`, then of every plugin of the list, each with the result of the one before. Returns the last. With
   * `killAfter` (ms) whatever plugin then runs is killed, as at a crash of the machine or of the runtime.
   */
  async add(pod: Attachment, killAfter = Number.POSITIVE_INFINITY): Promise<CniObject> {
    const deadline = performance.now() + killAfter;
    await this.#call({ ...pod, ifname: 'lo', deadline }, 'ADD', LOOPBACK);
    const conflist = this.conflist();
    let result: CniObject | undefined;
    for (const index of conflist.plugins.keys()) {
      const config = pluginConfiguration({ conflist, index, prevResult: result, capabilityArgs: {} });
      result = await this.#call({ ...pod, ifname: 'eth0', deadline }, 'ADD', config);
    }
    return result ?? {};
  }

  /** DEL of every plugin of the list from the last to the first, then of `loopback`. `killAfter` as for `add`. */
  async del(pod: Attachment, killAfter = Number.POSITIVE_INFINITY): Promise<void> {
    const deadline = performance.now() + killAfter;
    const conflist = this.conflist();
    for (const index of [...conflist.plugins.keys()].toReversed()) {
      const config = pluginConfiguration({ conflist, index, prevResult: undefined, capabilityArgs: {} });
      await this.#call({ ...pod, ifname: 'eth0', deadline }, 'DEL', config);
    }
    await this.#call({ ...pod, ifname: 'lo', deadline }, 'DEL', LOOPBACK);
  }

  async #call(pod: Call, command: string, config: object): Promise<CniObject> {
    const type = String((config as CniObject)['type']);
    const bin = this.#set?.folder ?? CNI_BIN;
    const env = {
      ...this.#env,
      CNI_COMMAND: command,
      CNI_CONTAINERID: pod.containerId,
      CNI_NETNS: `/run/netns/${pod.name}`,
      CNI_IFNAME: pod.ifname,
      CNI_PATH: bin,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId}`,
    };
    const place = { kind: 'node', name: this.#node.name, node: this.#node } as const;
    const argv = enterArgv(place, [`${bin}/${type}`]);
    const timeoutMs = Math.min(LIMIT_MS, Math.max(1, pod.deadline - performance.now()));
    const { code, stdout, stderr } = await run(argv, { env, input: JSON.stringify(config), timeoutMs });
    if (code === 0) return parseResult(type, stdout);
    throw new FlannelError(
      'kernel',
      `CNI ${command} of ${type} for ${pod.name}: ${cniMessage(stdout, stderr, code)}`,
    );
  }
}

/** Plugins beside those of the node's own folders. */
export interface PluginSet {
  readonly conflist: Conflist;
  /** Undefined: the node's `/opt/cni/bin`. */
  readonly folder: string | undefined;
}

/** A container that is to be wired. */
export interface Attachment {
  readonly name: string;
  readonly containerId: string;
}

interface Call extends Attachment {
  readonly ifname: string;
  /** `performance.now()` at which the plugin is killed. */
  readonly deadline: number;
}

function parseResult(type: string, stdout: string): CniObject {
  if (stdout.trim() === '') return {};
  const value: unknown = JSON.parse(stdout);
  if (isObject(value)) return value;
  throw new FlannelError('bug', `CNI plugin ${type} answered with something that is not an object`);
}

/** The words of a CNI error (spec, section 5 "Error"), else whatever the plugin wrote. */
function cniMessage(stdout: string, stderr: string, code: number): string {
  try {
    const value: unknown = JSON.parse(stdout);
    if (isObject(value))
      return [value['msg'], value['details']].filter((part) => typeof part === 'string').join(': ');
  } catch {
    // Not JSON: quoted below.
  }
  return `exit code ${code}: ${(stderr.trim() === '' ? stdout : stderr).trim().slice(-500)}`;
}
