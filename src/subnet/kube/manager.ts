import type { Clock } from '#base/clock.ts';
import { ConfigError, FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeClient } from '#clients/k8s/client.ts';
import { ALL, members } from '#clients/k8s/selection.ts';
import { FAMILIES } from '#net/family.ts';
import type { NetworkConfig } from '../config.ts';
import type { LeftOutReason } from '../lease.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord, SubnetManager } from '../manager.ts';
import { silentObserver, type StoreObserver } from '../observer.ts';
import { type AnnotationKeys, annotationKeys } from './annotations.ts';
import { Follower } from './follower.ts';
import { isNodeName, type NodeView, nodeSelection } from './node.ts';
import { podSubnets } from './node-lease.ts';
import { nodePath, type OwnContext, ownRecord, waitForOwn } from './own.ts';
import { Peers } from './peers.ts';
import { Publisher } from './publisher.ts';
import { retry } from '../retry.ts';

export interface KubeManagerOptions {
  readonly client: KubeClient;
  /** From `findNodeName`. */
  readonly nodeName: string;
  /** `--kube-annotation-prefix`; default `flannel.alpha.coreos.com`. */
  readonly prefix?: string | undefined;
  readonly log: Logger;
  readonly clock: Clock;
  /** Uniform random in [0, 1). */
  readonly random: () => number;
  /** `--set-node-network-unavailable`; default true. False makes `announceReady` do nothing. */
  readonly setNodeNetworkUnavailable?: boolean;
  /** This node's subnets changed (its Node was made anew): the daemon has to start over with this record. */
  readonly onOwnChange?: (record: OwnRecord) => void;
  /** Told what the manager waits for, and why. */
  readonly onWait?: (reason: string) => void;
  readonly observer?: StoreObserver;
}

/** The Kubernetes subnet manager. Throws ConfigError for a bad prefix or node name. */
export function createKubeManager(options: KubeManagerOptions): SubnetManager {
  if (!isNodeName(options.nodeName)) {
    throw new ConfigError('NODE_NAME', `${JSON.stringify(options.nodeName.slice(0, 64))} is not a node name`);
  }
  return new KubeManager(options, annotationKeys(options.prefix));
}

class KubeManager implements SubnetManager {
  readonly kind = 'kube';
  readonly #options: KubeManagerOptions;
  readonly #context: OwnContext;
  readonly #publisher: Publisher;
  #config: NetworkConfig | undefined;
  #own: OwnRecord | undefined;
  #uid = '';
  #attributes: OwnAttributes | undefined;
  #announced = false;
  #peers: Peers | undefined;
  #contact: number | undefined;
  #trouble: string | undefined;

  constructor(options: KubeManagerOptions, keys: AnnotationKeys) {
    this.#options = options;
    const { client, nodeName, log, clock, random, observer = silentObserver } = options;
    const onWait = (reason: string, error?: string) => {
      this.#trouble = error;
      options.onWait?.(reason);
    };
    const onContact = () => this.#heard();
    this.#context = { client, nodeName, log, clock, random, keys, onWait, onContact, observer };
    this.#publisher = new Publisher(this.#context);
  }

  async own(config: NetworkConfig, signal: AbortSignal): Promise<OwnRecord> {
    const { record, view } = await waitForOwn(this.#context, config, signal);
    this.#heard();
    this.#config = config;
    this.#own = record;
    this.#uid = view.uid;
    return record;
  }

  async publish(attributes: OwnAttributes, signal: AbortSignal): Promise<void> {
    this.#attributes = attributes;
    await this.#publisher.publish(attributes, signal);
    this.#heard();
  }

  /** Resolves when `signal` is aborted. `own` must have resolved before. */
  async watch(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void> {
    const config = this.#config;
    const first = this.#own;
    if (config === undefined || first === undefined)
      throw new FlannelError('bug', 'watch() was called before own()');
    const { client, keys } = this.#context;
    const peers = new Peers({
      config,
      keys,
      log: this.#context.log,
      own: () => this.#own ?? first,
      attributes: () => this.#attributes,
      onEvent,
      onOwn: (node) => this.#observe(node, config, signal),
    });
    this.#peers = peers;
    const path = '/api/v1/nodes';
    const follower = new Follower({ ...this.#context, client, path, select: nodeSelection(keys) }, peers);
    await follower.run(signal);
  }

  async announceReady(signal: AbortSignal): Promise<void> {
    if (this.#options.setNodeNetworkUnavailable === false) return;
    await this.#announce(signal);
    this.#announced = true;
  }

  lastContact(): number | undefined {
    return this.#contact;
  }

  trouble(): string | undefined {
    return this.#trouble;
  }

  leftOut(): ReadonlyMap<string, LeftOutReason> {
    return this.#peers?.leftOut ?? new Map();
  }

  async #announce(signal: AbortSignal): Promise<void> {
    const { client, nodeName, clock } = this.#context;
    const what = 'setting the condition NetworkUnavailable=False';
    const attempt = async () => {
      // Whole seconds, as metav1.Time has them.
      const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
      const condition = {
        type: 'NetworkUnavailable',
        status: 'False',
        reason: 'FlannelIsUp',
        message: 'Flannel is running on this node',
        lastTransitionTime: now,
        lastHeartbeatTime: now,
      };
      const body = { status: { conditions: [condition] } };
      const select = members({ kind: ALL });
      await client.patch(`${nodePath(nodeName)}/status`, { type: 'strategic', body, select, signal });
    };
    await retry(this.#context, { what, signal, attempt });
    this.#heard();
  }

  /** This node's own Node, as the list or the watch shows it. */
  #observe(node: NodeView | undefined, config: NetworkConfig, signal: AbortSignal): void {
    const { log, nodeName } = this.#context;
    if (node === undefined) {
      log.warn('the Node object of this node was deleted', { node: nodeName });
      return;
    }
    this.#publisher.observe(node, signal);
    const renewed = this.#uid !== '' && node.uid !== '' && node.uid !== this.#uid;
    this.#uid = node.uid;
    if (renewed && this.#announced) {
      log.warn('the Node object of this node was made anew', { node: nodeName });
      // Rejects only when aborted.
      void this.#announce(signal).catch(() => {});
    }
    this.#compareOwn(node, config);
  }

  #compareOwn(node: NodeView, config: NetworkConfig): void {
    const own = this.#own;
    if (own === undefined || node.podCidrs.length === 0) return;
    const { subnets } = podSubnets(node, config);
    const same = FAMILIES.every((family) => {
      const now = subnets[family];
      const before = own.subnets[family];
      return now === undefined || before === undefined ? now === before : now.equals(before);
    });
    if (same) return;
    const record = ownRecord(node, config, this.#context);
    this.#own = record;
    const cure = this.#options.onOwnChange === undefined ? { cure: 'restart the agent on this node' } : {};
    this.#context.log.error('the subnet of this node has changed', { ...record.subnets, ...cure });
    this.#options.onOwnChange?.(record);
  }

  #heard(): void {
    this.#contact = this.#context.clock.monotonic();
    this.#trouble = undefined;
  }
}
