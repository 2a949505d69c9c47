import { ConfigError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import type { RouteEntry } from '#host/plan.ts';
import { readBackendOptions } from '#subnet/backend-options.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { FamilyLease, Lease } from '#subnet/lease.ts';
import type { Backend, BackendContext, PeerPlan, Refusal, Rejection } from './backend.ts';
import { otherBackend, strangeSide } from './peer.ts';

const TYPE = 'host-gw';

/** host-gw takes no options: every key is a warning. */
export function checkHostGw(config: NetworkConfig): readonly string[] {
  return readBackendOptions(config.backend, {}).warnings;
}

/**
 * The host-gw backend: per peer a route by way of its node, no encapsulation, so every node must be on one link. Throws
 * ConfigError behind NAT: peers would send to an address that is not on the link.
 */
export function createHostGw(context: BackendContext): Backend {
  const { config, external, own } = context;
  const backendData: Partial<Record<Family, string>> = {};
  for (const family of config.families) {
    if (own.subnets[family] === undefined || external.addresses[family] === undefined) continue;
    refuseNat(context, family);
    backendData[family] = 'null';
  }
  return {
    type: TYPE,
    mtu: external.mtu,
    links: [],
    backendData,
    asksRoutes: true,
    peer: (lease) => planPeer(lease, context),
  };
}

function refuseNat({ config, external }: BackendContext, family: Family): void {
  const address = external.addresses[family];
  const publicIp = external.publicIps[family];
  if (publicIp === undefined || address?.equals(publicIp) === true) return;
  const [flag, annotation] =
    family === 'ipv4' ? ['--public-ip', 'node-public-ip'] : ['--public-ipv6', 'node-public-ipv6'];
  throw new ConfigError(
    `${config.backend.path}Type`,
    `host-gw does not work behind NAT: this node is to publish ${publicIp}, but ${external.name} has ${address ?? `no ${family} address`}`,
    { cure: `Take away ${flag} and the annotation ${annotation}, or set Backend.Type to vxlan` },
  );
}

function planPeer(lease: Lease, context: BackendContext): PeerPlan {
  const other = otherBackend(lease, TYPE, context);
  if (other !== undefined) return other;
  const entries: RouteEntry[] = [];
  const rejected: Rejection[] = [];
  const { config, own, external } = context;
  for (const family of config.families) {
    const side = lease.families[family];
    if (side === undefined || own.subnets[family] === undefined) continue;
    if (external.addresses[family] === undefined) continue;
    const result = planFamily(side, context);
    if ('kind' in result) rejected.push({ family, ...result });
    else entries.push(result);
  }
  return { entries, rejected };
}

/** One code path for both families: its route, or why the peer is left out. */
function planFamily(side: FamilyLease, context: BackendContext): RouteEntry | Refusal {
  const { subnet, publicIp } = side;
  const strange = strangeSide(side, context);
  if (strange !== undefined) return strange;
  const { name } = context.external;
  // The kernel would refuse the route; it is made as soon as the host's routes say otherwise.
  if (!context.isOnLink(publicIp)) {
    const reason = `its address ${publicIp} is not on the link of ${name}; host-gw needs all nodes on one link`;
    return { kind: 'off_link', reason };
  }
  return { type: 'route', link: name, dst: subnet, gateway: publicIp, onlink: false };
}
