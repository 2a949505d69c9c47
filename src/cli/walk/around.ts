import { join } from 'node:path';
import { describe, FlannelError } from '#base/errors.ts';
import { tryReadText } from '#ffi/file-system.ts';
import { Netns } from '#ffi/netns.ts';
import type { Overlay } from '#daemon/inspect/overlay.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { parseSubnetEnv } from '#subnet/env.ts';
import { programRunner } from '#traffic/exec.ts';
import { readLiveChains, type LiveChain } from '#traffic/live-chains.ts';
import type { NodeOptions } from '../node/options.ts';
import { claimsOf } from '#daemon/inspect/difference.ts';
import type { Table } from '#nftables/objects.ts';
import { podsOf, type Pod } from '#daemon/inspect/pods.ts';
import { tablesOf } from '../netfilter/tables.ts';
import { overlayOfNode } from '../node/view.ts';
import type { Surroundings } from './ends.ts';
import { walkKernel, type WalkKernel } from './kernel.ts';

/** What this node knows of itself: from the kernel, host-local's store, `subnet.env`, and the plan where there is one. */
export async function lookAround(net: Rtnetlink, options: NodeOptions): Promise<Surroundings> {
  const { overlay, noPlan } = await planIfAny(options);
  const { networks, gateways } = subnetFile(options);
  const own = gateways.map((gateway) => gateway.network());
  const planned =
    overlay === undefined
      ? []
      : [...claimsOf(overlay).entries.values()].filter((entry) => entry.type === 'route');
  const plannedRoute = (ip: Ip) => planned.find(({ dst }) => dst.contains(ip));
  const inNetwork = (ip: Ip) => networks.some((network) => network.contains(ip));
  const addresses = net.addresses().filter(({ cidr }) => !cidr.ip.isLoopback() && !cidr.ip.isLinkLocal());
  const external = net.link(overlay?.devices.external ?? '')?.index;
  const bridge = net.link(options.bridge)?.index;
  const first = (link: number) => (link === external ? 0 : 1);
  return {
    node: overlay?.node,
    addresses: addresses.toSorted((a, b) => first(a.link) - first(b.link)).map(({ cidr }) => cidr.ip),
    subnets: [...addresses.filter(({ link }) => link === bridge).map(({ cidr }) => cidr.network()), ...own],
    pods: podsOf(net, options),
    peers: overlay === undefined ? new Map() : peerAddresses(overlay),
    peerOf: peerFinder(overlay),
    ...(noPlan === undefined ? {} : { noPlan }),
    plannedRoute,
    plannedFor: (peer) => overlay?.peers.get(peer)?.entries ?? [],
    isNobodys: (ip) =>
      overlay !== undefined &&
      inNetwork(ip) &&
      plannedRoute(ip) === undefined &&
      !own.some((subnet) => subnet.contains(ip)),
    vxlanPort: overlay?.devices.links[0]?.port ?? 8472,
  };
}

/** Without a plan peers have no names: what the kernel does is to be seen all the same. */
async function planIfAny(options: NodeOptions): Promise<{ overlay?: Overlay; noPlan?: string }> {
  try {
    return { overlay: (await overlayOfNode(options)).overlay };
  } catch (error) {
    if (error instanceof FlannelError && error.actor !== 'bug') return { noPlan: describe(error) };
    throw error;
  }
}

/** The pod network, and this node's part of it with the address of its bridge; empty when there is no file. */
function subnetFile({ runDir }: NodeOptions): {
  readonly networks: readonly Cidr[];
  readonly gateways: readonly Cidr[];
} {
  const path = join(runDir, 'subnet.env');
  const text = tryReadText(path);
  if (text === undefined) return { networks: [], gateways: [] };
  const { networks, gateways } = parseSubnetEnv(text, path);
  return { networks: Object.values(networks).flat(), gateways: Object.values(gateways) };
}

function peerAddresses({ peers }: Overlay): Map<string, readonly Ip[]> {
  return new Map(
    [...peers].map(([name, { entries }]) => {
      const ips = entries.flatMap((entry) => {
        if (entry.type === 'fdb') return [entry.dst];
        return entry.type === 'route' && !entry.onlink ? [entry.gateway] : [];
      });
      return [name, ips];
    }),
  );
}

function peerFinder(overlay: Overlay | undefined): (ip: Ip) => string | undefined {
  const entries = [...(overlay?.peers ?? [])].flatMap(([name, peer]) =>
    peer.entries.map((entry) => ({ name, entry })),
  );
  return (ip) =>
    entries.find(({ entry }) => {
      if (entry.type === 'fdb') return entry.dst.equals(ip);
      return (
        entry.type === 'route' && (entry.dst.contains(ip) || (!entry.onlink && entry.gateway.equals(ip)))
      );
    })?.name;
}

/** Kernels of pods' namespaces, each opened once, all closed in the end. */
export class PodKernels implements Disposable {
  readonly #open = new Map<string, Rtnetlink | undefined>();

  inside(pod: Pod): WalkKernel | undefined {
    const { netns, namespace } = pod;
    if (netns === undefined || namespace !== 'alive') return undefined;
    if (!this.#open.has(netns)) this.#open.set(netns, openIn(netns));
    const net = this.#open.get(netns);
    return net === undefined ? undefined : walkKernel(net);
  }

  [Symbol.dispose](): void {
    for (const net of this.#open.values()) net?.close();
  }
}

function openIn(path: string): Rtnetlink | undefined {
  try {
    using netns = Netns.open(path);
    return Rtnetlink.openIn(netns);
  } catch (error) {
    if (error instanceof FlannelError && error.actor !== 'bug') return undefined;
    throw error;
  }
}

/** Our chains of the family, and all tables that its packets meet. */
export async function readRules(
  family: Family,
): Promise<{ readonly chains: readonly LiveChain[]; readonly tables: readonly Table[] }> {
  const chains = await readLiveChains(family, programRunner({ env: process.env, timeoutMs: 30_000 }));
  return { chains, tables: tablesOf(family) };
}
