import type { Subprocess } from 'bun';
import { FlannelError } from '#base/errors.ts';
import { enterArgv } from '../process/places.ts';
import type { NodeState } from '../state/state.ts';
import { agentArgv } from './agent.ts';
import { startHeld } from './child.ts';
import type { ClusterParts } from './cluster.ts';
import { agentReady } from './readiness.ts';

/** Starts and stops the agents of nodes when it is told to, as somebody who migrates a cluster does. */
export class AgentSwitch {
  readonly #parts: ClusterParts;
  readonly #running = new Map<string, Subprocess>();

  constructor(parts: ClusterParts) {
    this.#parts = parts;
  }

  /** Resolves when the agent is ready. */
  async start(name: string): Promise<void> {
    const { env, manager, paths, store } = this.#parts;
    const node = this.#node(name);
    const argv = enterArgv({ kind: 'node', name, node }, agentArgv(manager.agentFlags));
    const agent = startHeld(argv, { env: { ...env, NODE_NAME: name }, log: paths.agentLog(name) });
    this.#running.set(name, agent);
    store.setNode({ ...node, agentPid: agent.pid });
    const ended = agent.exited.then((code) => {
      throw new FlannelError('kernel', `flanneld on ${name} ended with ${code} before it was ready`);
    });
    await Promise.race([agentReady(node, { manager, paths }), ended]);
    // From here on its end is no failure.
    ended.catch(() => {});
  }

  /** SIGTERM; resolves when it has ended, with its exit code. */
  async stop(name: string): Promise<number> {
    const agent = this.#running.get(name);
    if (agent === undefined) throw new FlannelError('operator', `no agent runs on ${name}`);
    agent.kill('SIGTERM');
    const code = await agent.exited;
    this.#running.delete(name);
    this.#parts.store.setNode({ ...this.#node(name), agentPid: undefined });
    return code;
  }

  #node(name: string): NodeState {
    const node = this.#parts.store.state.nodes.find((each) => each.name === name);
    if (node === undefined) throw new FlannelError('operator', `there is no node ${name}`);
    return node;
  }
}
