import { readFile } from 'node:fs/promises';
import { systemClock } from '#base/clock.ts';
import { ConfigError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { createKubeClient, type KubeClient } from '#clients/k8s/client.ts';
import { loadKubeConfig, type KubeConfig } from '#clients/k8s/config.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import { annotationKeys, type AnnotationKeys } from '#subnet/kube/annotations.ts';
import { findNodeName } from '#subnet/kube/node-name.ts';
import { nodeLease } from '#subnet/kube/node-lease.ts';
import { NODE_SHAPE, nodeSelection, parseNode, type NodeView } from '#subnet/kube/node.ts';
import { nodePath, ownRecord } from '#subnet/kube/own.ts';
import type { Lease } from '#subnet/lease.ts';
import type { OwnRecord } from '#subnet/manager.ts';
import { NotAsked } from '../finding.ts';
import { seenFrom, type AgentFacts } from './agent.ts';
import { once } from './once.ts';

/** How long the API server may be silent, ms. */
const PATIENCE = 5000;

/** What the API server's clock said, and ours when it did. Wall clock, ms. */
export interface ServerClock {
  readonly theirs: number;
  readonly ours: number;
}

/** The Kubernetes API as this node sees it. Everything is asked for once. */
export class Cluster implements Disposable {
  readonly #agent: AgentFacts;
  readonly #nodeName: string;
  readonly #signal: AbortSignal;
  readonly #now: () => number;
  readonly #failures = new Set<unknown>();
  #opened: KubeClient | undefined;
  #clock: ServerClock | undefined;

  constructor(parts: { agent: AgentFacts; nodeName: string; signal: AbortSignal; now: () => number }) {
    this.#agent = parts.agent;
    this.#nodeName = parts.nodeName;
    this.#signal = parts.signal;
    this.#now = parts.now;
  }

  get keys(): AnnotationKeys {
    return annotationKeys(this.#agent.flags['kube-annotation-prefix']);
  }

  /** By its last answer; undefined before it, or when it did not say. */
  get clock(): ServerClock | undefined {
    return this.#clock;
  }

  /** True for what was thrown here: the API server, or the way to it, is then the business of one check alone. */
  isFailure(error: unknown): boolean {
    return this.#failures.has(error);
  }

  #once<T>(make: () => Promise<T>): () => Promise<T> {
    return once(async () => {
      try {
        return await make();
      } catch (error) {
        this.#failures.add(error);
        throw error;
      }
    });
  }

  /** How it is reached. Throws NotAsked where nobody has said how, ConfigError where that cannot be used. */
  readonly config = this.#once(async (): Promise<KubeConfig> => {
    const { flags, env, pid, badFlags } = this.#agent;
    if (badFlags !== undefined) throw new NotAsked(`how the agent was started is not known: ${badFlags}`);
    if (pid !== undefined && !flags['kube-subnet-mgr'])
      throw new NotAsked('the agent takes its subnet from etcd');
    const named = flags['kubeconfig-file'] !== '' || flags['kube-api-url'] !== '';
    if (pid === undefined && !named && (env['KUBERNETES_SERVICE_HOST'] ?? '') === '')
      throw new NotAsked('no agent runs; name the API server with --kubeconfig-file or --kube-api-url');
    return loadKubeConfig({
      kubeconfigFile: flags['kubeconfig-file'],
      apiUrl: flags['kube-api-url'],
      env,
      readFile: this.readFile,
    });
  });

  /** Reads a file where the agent would find it. */
  readonly readFile = (path: string): Promise<string> => readFile(seenFrom(this.#agent, path), 'utf8');

  readonly client = this.#once(async (): Promise<KubeClient> => {
    const config = await this.config();
    this.#opened = createKubeClient(config, {
      clock: systemClock,
      random: Math.random,
      readFile: this.readFile,
      userAgent: 'flannelctl',
      timeout: PATIENCE,
      onRequest: ({ date }) => {
        const theirs = Date.parse(date ?? '');
        if (!Number.isNaN(theirs)) this.#clock = { theirs, ours: this.#now() };
      },
    });
    return this.#opened;
  });

  /** Name of this node's Node. Throws ConfigError when nobody says it. */
  readonly nodeName = this.#once(async (): Promise<string> => {
    const env = this.#nodeName === '' ? this.#agent.env : { ...this.#agent.env, NODE_NAME: this.#nodeName };
    if (this.#agent.pid === undefined && (env['NODE_NAME'] ?? '') === '')
      throw new NotAsked('the name of this node is not known; give it with --node-name');
    return findNodeName({ env, client: await this.client(), signal: this.#signal });
  });

  /** This node's Node. */
  readonly ownNode = this.#once(async (): Promise<NodeView> => {
    const name = await this.nodeName();
    const options = { select: nodeSelection(this.keys), signal: this.#signal };
    const node = parseNode(await (await this.client()).get(nodePath(name), options));
    if (node === undefined) throw new ConfigError(nodePath(name), 'the answer is no Node');
    return node;
  });

  /** All Nodes, by name. */
  readonly nodes = this.#once(() => this.listNodes());

  /** As `nodes`, as they are now. */
  async listNodes(): Promise<readonly NodeView[]> {
    const { items } = await (
      await this.client()
    ).list('/api/v1/nodes', {
      select: nodeSelection(this.keys),
      shape: NODE_SHAPE,
      reduce: parseNode,
      resourceVersion: '0',
      signal: this.#signal,
    });
    return items.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What the store knows of this node. */
  async own(config: NetworkConfig): Promise<OwnRecord> {
    const nodeName = await this.nodeName();
    return ownRecord(await this.ownNode(), config, { keys: this.keys, nodeName, log: silentLogger });
  }

  /** Leases of the other nodes of `nodes`, in their order. */
  async leases(config: NetworkConfig, nodes: readonly NodeView[]): Promise<readonly Lease[]> {
    const own = await this.nodeName();
    const { keys } = this;
    return nodes
      .filter(({ name }) => name !== own)
      .flatMap((node) => nodeLease(node, { config, keys }).lease ?? []);
  }

  [Symbol.dispose](): void {
    this.#opened?.close();
  }
}
