import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, FlannelError, hasErrno } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import type { ExternalInterface } from '#backend/backend.ts';
import { createBackend } from '#backend/create.ts';
import { Reach, viewOf } from '#daemon/external.ts';
import { overlayOf, type Overlay } from '#daemon/inspect/overlay.ts';
import { Peers } from '#daemon/peers.ts';
import { chooseInterface } from '#host/external-interface.ts';
import { planOf } from '#host/reconcile.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { RT_TABLE, RTN } from '#rtnetlink/constants.ts';
import { parseNetworkConfig, type NetworkConfig } from '#subnet/config.ts';
import { annotationKeys } from '#subnet/kube/annotations.ts';
import { readSnapshot } from '#subnet/remembered/snapshot-file.ts';
import type { Snapshot } from '#subnet/remembered/snapshot.ts';
import type { AgentStatus } from '#daemon/inspect/agent-status.ts';
import type { NodeOptions } from './options.ts';

/**
 * The overlay without the agent: its record of the last known state and its configuration, through its own code. What depends
 * on its flags (rules, blackholes) is not known: blackholes that are there count as planned. Throws FlannelError when it
 * cannot be built.
 */
export async function overlayFromRecord(
  options: NodeOptions,
  status: AgentStatus | undefined,
): Promise<Overlay> {
  const config = readConfig(options.netConfigPath);
  const { own, leases } = await readRecord(options, config);
  using rtnetlink = Rtnetlink.open();
  const external = externalOf(rtnetlink, { config, status });
  const reach = new Reach(rtnetlink, external);
  const backend = createBackend({
    config,
    external,
    own,
    liveMac: (name) => rtnetlink.link(name)?.mac,
    randomMac: () => new Uint8Array(6),
    isOnLink: (ip) => reach.isOnLink(ip),
  });
  const peers = new Peers(backend, silentLogger);
  peers.load([{ type: 'reset', leases }]);
  const { links, keepsDevices = false } = backend;
  const blackholes = [...ownBlackholes(rtnetlink, own), ...peers.unreachable];
  const plan = planOf(
    { links, blackholes, external: external.name, keepDevices: keepsDevices },
    peers.claims,
  );
  const parts = {
    node: own.name,
    backend,
    plan,
    peers,
    rules: undefined,
    unreadable: new Map(),
    refused: [],
  };
  const overlay = overlayOf(parts);
  return { ...overlay, peers: new Map(overlay.peers) };
}

function readConfig(path: string): NetworkConfig {
  try {
    return parseNetworkConfig(readFileSync(path, 'utf8'), { source: path }).config;
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    throw new ConfigError(path, 'there is no such file, and without it nothing can be planned', {
      cure: 'Start the agent, or write the net-conf.json of its ConfigMap to a file and name it with --net-config-path',
    });
  }
}

async function readRecord({ record, prefix }: NodeOptions, { networks }: NetworkConfig): Promise<Snapshot> {
  const source = `kube ${annotationKeys(prefix).prefix}`;
  const read = await readSnapshot(record, { source, node: undefined, networks });
  if (read.snapshot !== undefined) return read.snapshot;
  throw new FlannelError(
    'operator',
    `the record of the last known peers, ${record}, cannot be used: ${read.reason}`,
    {
      cure: 'Start the agent; one that works with etcd keeps no such record',
    },
  );
}

interface ExternalParts {
  readonly config: NetworkConfig;
  readonly status: AgentStatus | undefined;
}

/** The interface that the agent has chosen, or would choose without flags. */
function externalOf(rtnetlink: Rtnetlink, { config, status }: ExternalParts): ExternalInterface {
  const iface = status?.external === undefined ? [] : [status.external.name];
  const choice = {
    families: config.families,
    iface,
    ifaceRegex: [],
    canReach: '',
    publicIps: [],
    modest: true,
  };
  const chosen = chooseInterface(viewOf(rtnetlink), choice);
  if ('wait' in chosen)
    throw new FlannelError('operator', `the external interface is not known: ${chosen.wait}`, {
      cure: 'Bring it up, or start the agent',
    });
  const publicIps: Partial<Record<Family, Ip>> = { ...chosen.addresses };
  for (const family of config.families) {
    const ip = Ip.tryParse(status?.lease?.publicIps[family] ?? '');
    if (ip !== undefined) publicIps[family] = ip;
  }
  const { link, addresses } = chosen;
  return { name: link.name, mtu: link.mtu, addresses, publicIps };
}

/** Those of `--ip-blackhole-route`. */
function ownBlackholes(rtnetlink: Rtnetlink, { subnets }: Snapshot['own']) {
  return Object.values(subnets).filter((subnet) =>
    rtnetlink
      .routes({ family: subnet.family, table: RT_TABLE.MAIN })
      .some(({ dst, type }) => type === RTN.BLACKHOLE && dst?.equals(subnet) === true),
  );
}

/** The status file, beside the subnet file. */
export function statusFile({ runDir }: NodeOptions): string {
  return join(runDir, 'status.json');
}
