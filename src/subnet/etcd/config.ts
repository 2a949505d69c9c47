import type { EtcdClient } from '#clients/etcd/client.ts';
import { type NetworkConfig, parseNetworkConfig } from '../config.ts';
import { Complaint, type RetryContext, Waits } from '../retry.ts';
import { configKey } from './keys.ts';

export interface EtcdNetworkConfig {
  readonly config: NetworkConfig;
  readonly text: string;
}

/** Parses the text of `<prefix>/config`; warnings go to the log. Throws ConfigError. */
export function parseEtcdConfig(
  text: string,
  context: { prefix: string; log: RetryContext['log'] },
): NetworkConfig {
  const source = `etcd key ${configKey(context.prefix)}`;
  const { config, warnings } = parseNetworkConfig(text, { source, manager: 'etcd' });
  for (const warning of warnings) context.log.warn(warning);
  return config;
}

/** Reads `<prefix>/config`; waits while etcd is away, while the key is missing, and while it cannot be used. */
export async function readEtcdConfig(
  context: RetryContext & { readonly client: EtcdClient; readonly prefix: string },
  signal: AbortSignal,
): Promise<EtcdNetworkConfig> {
  const { client, prefix } = context;
  const complaint = new Complaint(context);
  const waits = new Waits(context, { initial: 500, max: 5000 });
  for (;;) {
    let failure: unknown;
    try {
      const kv = await client.get(configKey(prefix), signal);
      if (kv !== undefined) {
        const config = parseEtcdConfig(kv.value, context);
        complaint.over('the configuration is there');
        return { config, text: kv.value };
      }
      complaint.tell('waiting for the network configuration in etcd', {
        key: configKey(prefix),
        cure: `etcdctl put ${configKey(prefix)} '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}', by etcd's v3 API`,
      });
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
      complaint.say('the network configuration cannot be taken from etcd, trying again', error);
    }
    await waits.sleep(signal, failure);
  }
}
