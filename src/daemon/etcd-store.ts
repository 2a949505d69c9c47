import { readFileSync } from 'node:fs';
import { ConfigError, describe, FlannelError, hasErrno } from '#base/errors.ts';
import type { ExternalInterface } from '#backend/backend.ts';
import { checkBackend } from '#backend/create.ts';
import { createEtcdClient } from '#clients/etcd/client.ts';
import type { EtcdConfig } from '#clients/etcd/transport.ts';
import { Secret } from '#clients/secret.ts';
import type { Cidr } from '#net/cidr.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import { parseSubnetEnv } from '#subnet/env.ts';
import { fits } from '#subnet/etcd/choose.ts';
import { parseEtcdConfig, readEtcdConfig } from '#subnet/etcd/config.ts';
import { normalPrefix } from '#subnet/etcd/keys.ts';
import { createEtcdManager } from '#subnet/etcd/manager.ts';
import type { PerFamily } from '#subnet/lease.ts';
import type { OwnAttributes, OwnRecord, SubnetManager } from '#subnet/manager.ts';
import type { FlagValues } from './flag-table.ts';
import type { StoreContext } from './store.ts';

export interface EtcdStoreContext extends StoreContext {
  /** Finds the external interface; waits for one. */
  readonly findExternal: (config: NetworkConfig) => Promise<ExternalInterface>;
  /** What this node would publish. */
  readonly draft: (parts: DraftParts) => OwnAttributes;
  /** Another configuration stands in etcd that this node can follow. */
  readonly onConfigChange: () => void;
}

export interface DraftParts {
  readonly config: NetworkConfig;
  readonly external: ExternalInterface;
  readonly own: OwnRecord;
}

/** The etcd subnet manager and the configuration that etcd holds; waits for it. Throws ConfigError for bad flags. */
export async function openEtcdStore(
  context: EtcdStoreContext,
): Promise<{ readonly config: NetworkConfig; readonly manager: SubnetManager }> {
  const { options, log, clock, random, signal, onWait, observer } = context;
  const { flags } = options;
  const etcd = etcdConfig(flags);
  log.info('etcd', { endpoints: etcd.endpoints.join(','), prefix: flags['etcd-prefix'] });
  const client = createEtcdClient(etcd);
  signal.addEventListener('abort', () => client.close(), { once: true });
  const prefix = normalPrefix(flags['etcd-prefix']);
  const common = { client, prefix, log, clock, random, onWait, observer };
  const { config, text: configText } = await readEtcdConfig(common, signal);
  let external: ExternalInterface | undefined;
  const manager = createEtcdManager({
    ...common,
    configText,
    relax: () => Bun.gc(true),
    previous: previousSubnets(flags['subnet-file'], log),
    renewMargin: flags['subnet-lease-renew-margin'] * 60_000,
    publicIps: async () => {
      external ??= await context.findExternal(config);
      return external.publicIps;
    },
    draft: (own) => {
      if (external === undefined) throw new FlannelError('bug', 'draft() was called before publicIps()');
      return context.draft({ config, external, own });
    },
    onConfig: (changed, subnets) => {
      const next = parseEtcdConfig(changed, { prefix, log });
      // One that this program cannot run with must not end an agent that runs.
      checkBackend(next);
      if (fits(subnets, next)) context.onConfigChange();
      else {
        log.error('the configuration in etcd was changed so that this node needs another subnet', {
          cure: 'restart the agent on this node when its pods may get new addresses; until then it goes on as it is',
        });
      }
    },
  });
  return { config, manager };
}

/** The `--etcd-*` flags. Throws ConfigError naming flag, value and what is allowed. */
export function etcdConfig(flags: FlagValues): EtcdConfig {
  const endpoints = flags['etcd-endpoints'].split(',').map((each) => endpoint(each.trim()));
  const certfile = flags['etcd-certfile'];
  const keyfile = flags['etcd-keyfile'];
  if ((certfile === '') !== (keyfile === '')) {
    const missing = certfile === '' ? '--etcd-certfile' : '--etcd-keyfile';
    throw new ConfigError(missing, 'is missing: certificate and key belong together');
  }
  if (!flags['etcd-prefix'].startsWith('/')) {
    throw new ConfigError(
      '--etcd-prefix',
      `${JSON.stringify(flags['etcd-prefix'])} does not begin with a slash`,
    );
  }
  const file = (path: string) => (path === '' ? undefined : Secret.file(path));
  const password = flags['etcd-password'];
  return {
    endpoints,
    ca: file(flags['etcd-cafile']),
    cert: file(certfile),
    key: file(keyfile),
    username: flags['etcd-username'],
    password: password === '' ? undefined : Secret.inline(password),
  };
}

function endpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === undefined || !isHttp || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    const shown = text.replace(/\/\/[^@/]*@/, '//***@').slice(0, 100);
    throw new ConfigError('--etcd-endpoints', `${JSON.stringify(shown)} is not an address of etcd`, {
      cure: 'Give http://host:port or https://host:port, several separated by commas',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new ConfigError('--etcd-endpoints', 'holds a user or password', {
      cure: 'Give them by --etcd-username and FLANNELD_ETCD_PASSWORD',
    });
  }
  return url.origin;
}

/** What an earlier run left in the subnet file; a file that cannot be read is as good as none. */
function previousSubnets(path: string, log: StoreContext['log']): PerFamily<Cidr> {
  try {
    const { gateways } = parseSubnetEnv(readFileSync(path, 'utf8'), path);
    const { ipv4, ipv6 } = gateways;
    return {
      ...(ipv4 !== undefined && { ipv4: ipv4.network() }),
      ...(ipv6 !== undefined && { ipv6: ipv6.network() }),
    };
  } catch (error) {
    if (!hasErrno(error, 'ENOENT'))
      log.warn('the subnet of an earlier run is not known', { error: describe(error) });
    return {};
  }
}
