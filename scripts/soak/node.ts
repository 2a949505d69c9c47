import { withNetns, Netns } from '#ffi/netns.ts';
import { enterArgv, type Place } from '#lab/process/places.ts';
import { run, runOrThrow } from '#lab/process/run.ts';
import type { NodePlan } from '#lab/state/address-plan.ts';
import type { NodeState } from '#lab/state/state.ts';
import type { Family } from '#net/family.ts';
import { Nftables } from '#nftables/connection.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Agent } from './agent.ts';
import { nodeAddress, podRange, ROUTER, UNDERLAY_NETWORK } from './addresses.ts';
import type { SoakBackend } from './backends.ts';
import type { SoakPod } from './pods.ts';

export interface SoakNodeParts {
  readonly index: number;
  readonly plan: NodePlan;
  readonly pid: number;
  readonly families: readonly Family[];
  readonly backend: SoakBackend;
  readonly env: Readonly<Record<string, string>>;
}

/** A simulated node, and what is true of it at the moment. */
export class SoakNode implements Disposable {
  readonly index: number;
  readonly name: string;
  readonly plan: NodePlan;
  readonly pid: number;
  readonly families: readonly Family[];
  readonly pods: SoakPod[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #netns: Netns;
  /** Open for all the looks of the soak. */
  readonly rtnetlink: Rtnetlink;
  readonly nftables: Nftables;
  agent: Agent | undefined;
  /** What its `net-conf.json` says. */
  backend: SoakBackend;
  /** Which of its pod networks the Node has now. */
  range = 0;
  /** True while it has its other address. */
  moved = false;
  /** MTU of its external interface. */
  mtu = 1500;

  constructor(parts: SoakNodeParts) {
    this.index = parts.index;
    this.name = parts.plan.name;
    this.plan = parts.plan;
    this.pid = parts.pid;
    this.families = parts.families;
    this.backend = parts.backend;
    this.#env = parts.env;
    this.#netns = Netns.open(`/proc/${parts.pid}/ns/net`);
    this.rtnetlink = Rtnetlink.openIn(this.#netns);
    this.nftables = withNetns(this.#netns, () => Nftables.open());
  }

  /** As the lab's functions want it. */
  get state(): NodeState {
    const { name, pid } = this;
    return { name, pid, ip: this.address('ipv4'), podCidr: this.podCidr('ipv4'), agentRestarts: 0 };
  }

  get place(): Place {
    return { kind: 'node', name: this.name, node: this.state };
  }

  address(family: Family, other = this.moved): string {
    return nodeAddress(family, this.index, other);
  }

  podCidr(family: Family): string {
    return podRange(family, this.index, this.range);
  }

  get podCidrs(): string[] {
    return this.families.map((family) => this.podCidr(family));
  }

  /** A file of its own mount namespace, seen from the machine. */
  file(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Runs a program on the node, as an operator would; throws with its words when it fails. */
  run(...argv: readonly string[]): Promise<string> {
    return runOrThrow(enterArgv(this.place, argv), { env: this.#env });
  }

  /** `ip ...` on the node. */
  ip(command: string): Promise<string> {
    return this.run('ip', ...command.split(' '));
  }

  /** Many `ip` commands in one process; a line that fails does not stop the others. */
  async batch(lines: readonly string[]): Promise<void> {
    const argv = enterArgv(this.place, ['ip', '-force', '-batch', '-']);
    await run(argv, { env: this.#env, input: `${lines.join('\n')}\n` });
  }

  /** `prefix` as an address of the node, e.g. 192.168.50.11/24. */
  onUnderlay(family: Family, other = this.moved): string {
    return `${this.address(family, other)}/${UNDERLAY_NETWORK[family].split('/')[1] ?? ''}`;
  }

  /** The default routes, which go with link or address. */
  async addDefaultRoutes(): Promise<void> {
    for (const family of this.families)
      await this.ip(`${flag(family)} route replace default via ${ROUTER[family]} dev eth0`);
  }

  [Symbol.dispose](): void {
    this.rtnetlink.close();
    this.nftables.close();
    this.#netns.close();
  }
}

/** `ip`'s option for a family. */
export function flag(family: Family): '-4' | '-6' {
  return family === 'ipv4' ? '-4' : '-6';
}
