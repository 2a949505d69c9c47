import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { createBackend } from '#backend/create.ts';
import { Reach } from '#daemon/external.ts';
import { overlayOf, type Overlay } from '#daemon/inspect/overlay.ts';
import { parseOverlay } from '#daemon/inspect/overlay-parse.ts';
import { SOCKET_NAME } from '#daemon/inspect/socket-name.ts';
import { txChecksum } from '#daemon/options.ts';
import { Peers } from '#daemon/peers.ts';
import { planOf } from '#host/reconcile.ts';
import type { NodeView } from '#subnet/kube/node.ts';
import { askAgent, NoAgent } from '#daemon/inspect/ask.ts';
import { NotAsked } from '../finding.ts';
import type { Facts } from './facts.ts';

/** What the agent itself has in memory. Throws NotAsked when it does not answer. */
export async function overlayFromAgent(runDir: string): Promise<Overlay> {
  try {
    return parseOverlay(await askAgent(join(runDir, SOCKET_NAME), '/plan'));
  } catch (error) {
    if (error instanceof NoAgent) throw new NotAsked(`the agent does not tell its plan: ${error.message}`);
    throw error;
  }
}

/** What the agent should have in memory: these Nodes, through the agent's own code. */
export async function overlayFromCluster(facts: Facts, nodes: readonly NodeView[]): Promise<Overlay> {
  const config = facts.config();
  const { flags } = facts.agent;
  const own = await facts.cluster.own(config);
  const leases = await facts.cluster.leases(config, nodes);
  const external = facts.external();
  const { net } = facts;
  const reach = new Reach(net, external);
  const backend = createBackend({
    config,
    external,
    own,
    txChecksum: txChecksum(flags),
    liveMac: (name) => net.link(name)?.mac,
    randomMac: () => new Uint8Array(6),
    isOnLink: (ip) => reach.isOnLink(ip),
  });
  const peers = new Peers(backend, silentLogger);
  peers.load([{ type: 'reset', leases: new Map(leases.map((lease) => [lease.name, lease])) }]);
  const ownBlackholes = flags['ip-blackhole-route'] ? Object.values(own.subnets) : [];
  const devices = {
    links: backend.links,
    blackholes: [...ownBlackholes, ...peers.unreachable],
    external: external.name,
    keepDevices: backend.keepsDevices === true,
  };
  const overlay = overlayOf({
    node: own.name,
    backend,
    plan: planOf(devices, peers.claims),
    rules: facts.plannedRules(own, backend),
    peers,
    unreadable: new Map(),
    refused: [],
  });
  return { ...overlay, peers: new Map(overlay.peers) };
}
