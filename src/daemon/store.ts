import { readFile } from 'node:fs/promises';
import { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { ConfigError, describe, FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createKubeClient, type KubeClient } from '#clients/k8s/client.ts';
import { loadKubeConfig } from '#clients/k8s/config.ts';
import { parseNetworkConfig, type NetworkConfig } from '#subnet/config.ts';
import { createKubeManager } from '#subnet/kube/manager.ts';
import { findNodeName } from '#subnet/kube/node-name.ts';
import type { OwnRecord, SubnetManager } from '#subnet/manager.ts';
import type { AgentOptions } from './options.ts';

export interface StoreContext {
  readonly options: AgentOptions;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  readonly onOwnChange: (record: OwnRecord) => void;
  readonly onWait: (reason: string) => void;
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

/** The Kubernetes subnet manager for this node. Waits for the API when only it can tell the node's name. */
export async function openStore(
  context: StoreContext,
): Promise<{ readonly config: NetworkConfig; readonly manager: SubnetManager }> {
  const { options, log, clock, random } = context;
  const { flags, env } = options;
  const network = await readNetworkConfig(flags['net-config-path'], log);
  context.onWait('waiting for the API server');
  const config = await loadKubeConfig({
    kubeconfigFile: flags['kubeconfig-file'],
    apiUrl: flags['kube-api-url'],
    env,
  });
  log.info('Kubernetes API', { server: config.server, from: config.source });
  const client = createKubeClient(config, { clock, random });
  const nodeName = await nodeNameWithRetry(client, context);
  const manager = createKubeManager({
    client,
    nodeName,
    prefix: flags['kube-annotation-prefix'],
    log,
    clock,
    random,
    setNodeNetworkUnavailable: flags['set-node-network-unavailable'],
    onOwnChange: context.onOwnChange,
    onWait: context.onWait,
  });
  return { config: network, manager };
}

async function nodeNameWithRetry(client: KubeClient, context: StoreContext): Promise<string> {
  const { options, log, clock, random, signal } = context;
  const backoff = new Backoff({ initial: 500, max: 15_000, random });
  for (let said = ''; ;) {
    try {
      return await findNodeName({ env: options.env, client, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof FlannelError && error.actor === 'operator' && error instanceof ConfigError)
        throw error;
      const text = describe(error);
      if (text !== said) log.warn('the name of this node is not known yet; trying again', { error: text });
      said = text;
      context.onWait(`name of this node: ${text}`);
      await clock.sleep(backoff.next(), signal);
    }
  }
}
