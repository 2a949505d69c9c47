import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { ConfigError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createKubeClient } from '#clients/k8s/client.ts';
import { loadKubeConfig } from '#clients/k8s/config.ts';
import type { CountedRequest } from '#clients/k8s/transport.ts';
import { parseNetworkConfig, type NetworkConfig } from '#subnet/config.ts';
import { annotationKeys } from '#subnet/kube/annotations.ts';
import { createKubeManager } from '#subnet/kube/manager.ts';
import type { OwnRecord, SubnetManager } from '#subnet/manager.ts';
import { RememberedManager } from '#subnet/remembered/manager.ts';
import { Recall } from '#subnet/remembered/recall.ts';
import { nodeName } from './node-name.ts';
import type { StoreObserver } from '#subnet/observer.ts';
import type { AgentOptions } from './options.ts';

export interface StoreContext {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** ms without a word from the store after which the agent is not ready. */
  readonly silence: number;
  /** How long the store may take before the last known state is gone on with, ms. */
  readonly patience: number;
  /** Least time between two writes of the last known state, ms. */
  readonly saveEvery: number;
  readonly signal: AbortSignal;
  /** Ends this run; another one begins with what is then true. */
  readonly startOver: (reason: string) => void;
  readonly onOwnChange: (record: OwnRecord) => void;
  readonly onWait: (reason: string) => void;
  readonly observer: StoreObserver;
  /** Hears of every request to the Kubernetes API. */
  readonly onRequest: (request: CountedRequest) => void;
}

/** Reads and checks the network configuration; warnings go to the log. */
async function readNetworkConfig(path: string, log: Logger): Promise<NetworkConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(path, 'the network configuration cannot be read', {
      cause: error,
      cure: 'Mount the ConfigMap kube-flannel-cfg there, or name the file with --net-config-path',
    });
  }
  const { config, warnings } = parseNetworkConfig(text, { source: path });
  for (const warning of warnings) log.warn(warning);
  return config;
}

/** The file of the last known state: in the state folder, by default beside the subnet file. */
function recordPath({ flags }: AgentOptions): string {
  return join(flags['state-dir'] === '' ? dirname(flags['subnet-file']) : flags['state-dir'], 'last-known');
}

/** The Kubernetes subnet manager for this node. Waits for the API when only it can tell the node's name. */
export async function openStore(
  context: StoreContext,
): Promise<{ readonly config: NetworkConfig; readonly manager: SubnetManager }> {
  const { options, log, clock, random, onRequest, observer } = context;
  const { flags, env } = options;
  const network = await readNetworkConfig(flags['net-config-path'], log);
  context.onWait('waiting for the API server');
  const config = await loadKubeConfig({
    kubeconfigFile: flags['kubeconfig-file'],
    apiUrl: flags['kube-api-url'],
    env,
  });
  log.info('Kubernetes API', { server: config.server, from: config.source });
  const client = createKubeClient(config, { clock, random, onRequest, watchTimeout: context.silence / 2 });
  // The next run opens connections of its own.
  context.signal.addEventListener('abort', () => client.close(), { once: true });
  const path = recordPath(options);
  const prefix = flags['kube-annotation-prefix'];
  const given = env['NODE_NAME'] ?? '';
  const owner = {
    source: `kube ${annotationKeys(prefix).prefix}`,
    node: given === '' ? undefined : given,
    networks: network.networks,
  };
  const { patience, saveEvery } = context;
  const recall = new Recall({ path, owner, clock, log, patience });
  const onOther = (name: string) => context.startOver(`this node is ${name}`);
  const name = await nodeName({ ...context, env, client, recall, onOther });
  const manager = new RememberedManager({
    path,
    owner: { ...owner, node: name },
    recall,
    clock,
    log,
    interval: saveEvery,
    onOwnChange: context.onOwnChange,
    open: (onOwnChange) =>
      createKubeManager({
        client,
        nodeName: name,
        prefix,
        log,
        clock,
        random,
        setNodeNetworkUnavailable: flags['set-node-network-unavailable'],
        onOwnChange,
        onWait: context.onWait,
        observer,
      }),
  });
  return { config: network, manager };
}
