import { describe } from '#base/errors.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import { Nftables } from '#nftables/connection.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { trySysctl } from '../bridge/sysctl.ts';
import { openNetfilter } from '../netfilter.ts';
import type { Host } from '../plugin.ts';
import type { PortmapBackend } from './config.ts';
import { flushStale } from './flush.ts';
import { targetsOf, type Collection, type Forwarding, type Owner } from './forwarding.ts';
import { IptablesPortmap } from './iptables.ts';
import { addByNftables, checkByNftables, collectByNftables, removeByNftables } from './nftables.ts';
import { routeOf } from './route.ts';

/** Both backends over one netfilter connection. */
interface Backends {
  readonly connection: NetlinkConnection;
  readonly nft: Nftables;
  readonly iptables: IptablesPortmap;
}

function openBackends(host: Host, connection = openNetfilter(host)): Backends {
  const nft = Nftables.over(connection);
  return { connection, nft, iptables: new IptablesPortmap(connection, host.env) };
}

/** Adds a container's mappings in the backend that is asked for, or iptables where it works. */
export async function addForwarding(forwarding: Forwarding, host: Host): Promise<void> {
  if (targetsOf(forwarding).length === 0) return;
  const backends = openBackends(host);
  const { connection, nft, iptables } = backends;
  const backend = await backendOf(forwarding, iptables);
  if (forwarding.config.snat) allowLoopbackSource(forwarding);
  try {
    const lost = backend === 'iptables' ? await iptables.add(forwarding) : addByNftables(nft, forwarding);
    flushStale({ forwarding, lost }, connection, host);
  } catch (error) {
    await takeBack(forwarding, backends, host);
    throw error;
  }
}

/** One family may be done when the other one fails. */
async function takeBack(forwarding: Forwarding, backends: Backends, host: Host): Promise<void> {
  try {
    await removeFrom(backends, forwarding, host);
  } catch (error) {
    host.warn(`portmap: after a failed ADD: ${describe(error)}`);
  }
}

async function backendOf(forwarding: Forwarding, iptables: IptablesPortmap): Promise<PortmapBackend> {
  const { backend } = forwarding.config;
  if (backend !== undefined) return backend;
  const works = await Promise.all(targetsOf(forwarding).map(async ({ family }) => iptables.works(family)));
  return works.includes(false) ? 'nftables' : 'iptables';
}

/** A packet from 127.0.0.1 leaves by another link than lo only where `route_localnet` is on (ip-sysctl). */
function allowLoopbackSource(forwarding: Forwarding): void {
  using client = Rtnetlink.open();
  for (const { ip, family } of targetsOf(forwarding)) {
    const index = family === 'ipv4' ? routeOf(client, ip)?.link : undefined;
    const name = index === undefined ? undefined : client.link(index)?.name;
    if (name !== undefined) trySysctl(`ipv4/conf/${name}/route_localnet`, '1');
  }
}

/** Removes everything of the container in both backends, whatever it was mapped to and whoever did it. */
export async function removeForwarding(
  owner: Owner,
  host: Host,
  connection?: NetlinkConnection,
): Promise<void> {
  await removeFrom(openBackends(host, connection), owner, host);
}

async function removeFrom({ connection, nft, iptables }: Backends, owner: Owner, host: Host): Promise<void> {
  const lost = [...removeByNftables(nft, owner), ...(await iptables.remove(owner))];
  flushStale({ lost }, connection, host);
}

/** Throws CniError 999 when a rule is missing. */
export async function checkForwarding(forwarding: Forwarding, host: Host): Promise<void> {
  const { nft, iptables } = openBackends(host);
  const { backend } = forwarding.config;
  // Without a backend in the configuration: where ADD has put them.
  const byIptables = backend === undefined ? await iptables.has(forwarding) : backend === 'iptables';
  if (byIptables) await iptables.check(forwarding);
  else checkByNftables(nft, forwarding);
}

/** GC: removes the rules of the network's containers that are not in `valid`. */
export async function collectForwarding(collection: Collection, host: Host): Promise<void> {
  const { connection, nft, iptables } = openBackends(host);
  const { network, valid } = collection;
  const lost = [...collectByNftables(nft, collection), ...(await iptables.collect(network, valid))];
  flushStale({ lost }, connection, host);
}
