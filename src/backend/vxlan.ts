import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Mac } from '#net/mac.ts';
import type { Entry, VxlanLink } from '#host/plan.ts';
import { readBackendOptions } from '#subnet/backend-options.ts';
import type { BackendConfig, NetworkConfig } from '#subnet/config.ts';
import type { FamilyLease, Lease } from '#subnet/lease.ts';
import type { Backend, BackendContext, PeerPlan, Refusal, Rejection } from './backend.ts';
import { otherBackend, strangeSide } from './peer.ts';
import { parseVtepMac, renderVxlanData } from './vxlan-data.ts';

const TYPE = 'vxlan';

/** Outer IP, UDP, VXLAN and inner Ethernet header, bytes (RFC 7348 section 5). */
export const OVERHEAD: Readonly<Record<Family, number>> = { ipv4: 50, ipv6: 70 };

/** The smallest MTU that the family works with, bytes (RFC 791; RFC 8200 section 5). */
const LEAST_MTU: Readonly<Record<Family, number>> = { ipv4: 68, ipv6: 1280 };

/** The kernel's own default port, not IANA's 4789 (`drivers/net/vxlan`, module parameter udp_port). */
const DEFAULT_PORT = 8472;

/** The keys of `Backend`. */
export const VXLAN_OPTIONS = {
  VNI: {
    kind: 'integer',
    min: 0,
    max: 0xffffff,
    fallback: 1,
    help: 'VXLAN network identifier; the device is `flannel.<VNI>`, for IPv6 `flannel-v6.<VNI>`',
  },
  Port: {
    kind: 'integer',
    min: 0,
    max: 65535,
    fallback: 0,
    help: 'UDP port of the outer packets; 0: 8472, the default of the kernel, not the 4789 of IANA',
  },
  MTU: {
    kind: 'integer',
    min: 0,
    max: 65535,
    fallback: 0,
    help: 'of the outer packets, bytes; the device gets 50 less, for IPv6 70; 0: that of the external interface',
  },
  GBP: { kind: 'boolean', fallback: false, help: 'VXLAN group policy extension' },
  Learning: {
    kind: 'boolean',
    fallback: false,
    help: 'the device learns from packets it receives; the plan needs no learning',
  },
  DirectRouting: {
    kind: 'boolean',
    fallback: false,
    help: 'nodes on the same link: a plain route instead of the overlay',
  },
} as const;

/** `flannel.<VNI>`, for IPv6 `flannel-v6.<VNI>`. */
export function vxlanName(family: Family, vni: number): string {
  return family === 'ipv4' ? `flannel.${vni}` : `flannel-v6.${vni}`;
}

/** Throws ConfigError naming key and value of an option that it does not take; returns warnings. */
export function checkVxlan(config: NetworkConfig): readonly string[] {
  return readBackendOptions(config.backend, VXLAN_OPTIONS).warnings;
}

/** VNI and UDP port of the overlay. Throws ConfigError. */
export function vxlanPlace(backend: BackendConfig): { readonly vni: number; readonly port: number } {
  const { VNI, Port } = readBackendOptions(backend, VXLAN_OPTIONS).options;
  return { vni: VNI, port: portOf(Port) };
}

function portOf(option: number): number {
  return option === 0 ? DEFAULT_PORT : option;
}

/** The VXLAN backend: a VTEP per family; per peer a neighbour, an FDB entry and a route. */
export function createVxlan(context: BackendContext): Backend {
  const { config, external, own } = context;
  const { options } = readBackendOptions(config.backend, VXLAN_OPTIONS);
  const outerMtu = options.MTU === 0 ? external.mtu : options.MTU;
  const links = new Map<Family, VxlanLink>();
  const backendData: Partial<Record<Family, string>> = {};
  for (const family of config.families) {
    const subnet = own.subnets[family];
    const local = external.addresses[family];
    if (subnet === undefined || local === undefined) continue;
    const name = vxlanName(family, options.VNI);
    const mac = ownMac(context, { family, name });
    const mtu = innerMtu(outerMtu, { family, path: config.backend.path, fromOptions: options.MTU !== 0 });
    links.set(family, {
      name,
      vni: options.VNI,
      port: portOf(options.Port),
      local,
      parent: external.name,
      learning: options.Learning,
      gbp: options.GBP,
      mtu,
      mac,
      ...(context.txChecksum === undefined ? {} : { txChecksum: context.txChecksum }),
      addresses: [new Cidr(subnet.first(), subnet.ip.bits)],
    });
    backendData[family] = renderVxlanData(options.VNI, mac);
  }
  const smallest = links.has('ipv4') ? OVERHEAD.ipv4 : OVERHEAD.ipv6;
  return {
    type: TYPE,
    mtu: outerMtu - smallest,
    links: [...links.values()],
    backendData,
    asksRoutes: options.DirectRouting,
    peer: (lease) => planPeer(lease, { context, links, directRouting: options.DirectRouting }),
  };
}

/** The device's MTU. Throws ConfigError when the family cannot live with what is left. */
function innerMtu(
  outer: number,
  where: { readonly family: Family; readonly path: string; readonly fromOptions: boolean },
): number {
  const { family, path, fromOptions } = where;
  const inner = outer - OVERHEAD[family];
  const least = LEAST_MTU[family];
  if (inner >= least) return inner;
  const source = fromOptions ? String(outer) : `${outer} (of the external interface)`;
  throw new ConfigError(`${path}MTU`, `${source} leaves ${inner} bytes for ${family} in the overlay`, {
    cure: `Use an MTU of at least ${least + OVERHEAD[family]}, or set another Backend.MTU`,
  });
}

/** The MAC of an earlier run, so that peers need not learn another: annotation, then device, then a new one. */
function ownMac(context: BackendContext, device: { family: Family; name: string }): Mac {
  const published = context.own.backendType === TYPE ? context.own.backendData[device.family] : undefined;
  const earlier = published === undefined ? undefined : parseVtepMac(published);
  if (earlier instanceof Mac) return earlier;
  const live = context.liveMac(device.name);
  if (live !== undefined && !live.isZero() && !live.isMulticast()) return live;
  return Mac.local(context.randomMac());
}

interface PeerContext {
  readonly context: BackendContext;
  readonly links: ReadonlyMap<Family, VxlanLink>;
  readonly directRouting: boolean;
}

function planPeer(lease: Lease, peer: PeerContext): PeerPlan {
  const other = otherBackend(lease, TYPE, peer.context);
  if (other !== undefined) return other;
  const entries: Entry[] = [];
  const rejected: Rejection[] = [];
  for (const [family, link] of peer.links) {
    const side = lease.families[family];
    if (side === undefined) continue;
    const result = planFamily(side, link, peer);
    if ('kind' in result) rejected.push({ family, ...result });
    else entries.push(...result);
  }
  return { entries, rejected };
}

/** One code path for both families: its entries, or why the peer is left out. */
function planFamily(side: FamilyLease, link: VxlanLink, peer: PeerContext): readonly Entry[] | Refusal {
  const { context } = peer;
  const { subnet, publicIp } = side;
  const strange = strangeSide(side, context);
  if (strange !== undefined) return strange;
  if (peer.directRouting && context.isOnLink(publicIp)) {
    return [{ type: 'route', link: link.parent, dst: subnet, gateway: publicIp, onlink: false }];
  }
  const mac = parseVtepMac(side.backendData);
  if (typeof mac === 'string') return { kind: 'unreadable', reason: mac };
  if (mac.equals(link.mac)) return { kind: 'own_mac', reason: `it publishes this node's own VtepMAC ${mac}` };
  const gateway = subnet.first();
  return [
    { type: 'neighbour', link: link.name, ip: gateway, mac },
    { type: 'fdb', link: link.name, mac, dst: publicIp },
    { type: 'route', link: link.name, dst: subnet, gateway, onlink: true },
  ];
}
