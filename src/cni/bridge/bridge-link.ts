import { isExists, isNotFound } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import { Mac } from '#net/mac.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { IFF } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import type { BridgeConfig } from './config.ts';
import { prepareBridge } from './sysctl.ts';

/** A bridge and whether this call has made it. */
export interface FoundBridge {
  readonly bridge: Link;
  readonly created: boolean;
}

/** A link that containers share was removed while it was being used: an ADD that failed has taken back what it made. */
export class LinkGone extends CniError {
  constructor(name: string, cause?: unknown) {
    super(CODE.INTERNAL, `${name} was removed while it was being set up`, {
      details: 'try again',
      cause,
    });
  }
}

/** Finds or makes the bridge, up. Any number of calls may do this at once. Throws LinkGone when it goes meanwhile. */
export function ensureBridge(client: Rtnetlink, config: BridgeConfig, host: Host): FoundBridge {
  const present = client.link(config.bridge);
  const found =
    present === undefined ? createBridge(client, config, host) : { bridge: present, created: false };
  try {
    bringUp(client, config, found.bridge);
  } catch (error) {
    if (isNotFound(error)) throw new LinkGone(config.bridge, error);
    if (found.created) removeUnused(client, found.bridge);
    throw error;
  }
  return found;
}

/** Removes a bridge that this ADD has made, unless somebody else has put a port into it since. */
export function removeUnused(client: Rtnetlink, bridge: Link): void {
  if (!client.links().some(({ master }) => master === bridge.index)) deleteIfThere(client, bridge);
}

/** As `removeUnused` for the interface of a VLAN's gateway. */
export function removeUnusedGateway(client: Rtnetlink, bridge: Link, gateway: Link): void {
  if (podPorts(client, bridge, gateway).length === 0) deleteIfThere(client, gateway);
}

function deleteIfThere(client: Rtnetlink, link: Link): void {
  try {
    client.deleteLink(link.index);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function bringUp(client: Rtnetlink, config: BridgeConfig, bridge: Link): void {
  if (bridge.kind?.type !== 'bridge') {
    throw new CniError(CODE.INTERNAL, `${JSON.stringify(config.bridge)} already exists but is not a bridge`, {
      details: `rename that link, or set "bridge" to another name`,
    });
  }
  const promiscuous = config.promiscuous && (bridge.flags & IFF.PROMISC) === 0;
  if (bridge.up && !promiscuous) return;
  if (!bridge.up) prepareBridge(bridge.name, config.dad);
  client.setLink(bridge.index, { up: true, ...(promiscuous ? { promiscuous } : {}) });
}

function createBridge(client: Rtnetlink, config: BridgeConfig, host: Host): FoundBridge {
  let created = true;
  try {
    client.createLink({
      name: config.bridge,
      kind: { type: 'bridge' },
      mtu: config.mtu,
      // An address given at creation is kept; else the bridge takes its lowest port's, which goes with that pod.
      mac: Mac.local(host.random(6)),
    });
  } catch (error) {
    if (!isExists(error)) throw error;
    created = false;
  }
  const bridge = client.link(config.bridge);
  if (bridge !== undefined) return { bridge, created };
  throw new LinkGone(config.bridge);
}

/**
 * Gives the bridge, or the interface of its VLAN (`link`), its gateway address. An address of an earlier configuration is replaced when no pod is there to use
 * it or `forceAddress` says so; otherwise both stay, and the runtime's log names the pods that hold the old one.
 */
export function ensureGateway(
  client: Rtnetlink,
  on: { readonly bridge: Link; readonly link: Link; readonly config: BridgeConfig; readonly host: Host },
  gateway: Cidr,
): void {
  const { bridge, link, config, host } = on;
  const present = client
    .addresses({ link: link.index, family: gateway.family })
    .filter(({ cidr }) => !cidr.ip.isLinkLocal());
  if (present.some(({ cidr }) => cidr.equals(gateway))) return;
  const others = present.filter(({ cidr }) => gateway.family === 'ipv4' || isRival(cidr, gateway));
  if (others.length > 0) {
    const ports = config.forceAddress ? [] : podPorts(client, bridge, link);
    if (ports.length === 0) for (const { cidr } of others) client.deleteAddress({ link: link.index, cidr });
    else {
      const names = ports.map((port) => port.name).join(', ');
      host.warn(
        `bridge: ${link.name} already has an IP address different from ${gateway}: ` +
          `${others.map(({ cidr }) => cidr).join(', ')} stays for the pods on ${names}; restart them to be rid of it`,
      );
    }
  }
  if (gateway.family === 'ipv6') prepareBridge(link.name, config.dad);
  try {
    client.addAddress({ link: link.index, cidr: gateway, broadcast: 'auto' });
  } catch (error) {
    if (!isExists(error)) throw error;
  }
}

/**
 * A bridge may have several IPv6 addresses. One goes when it overlaps the gateway's network, or when it can only have been
 * a gateway itself: the first address of another network as large as this one. Its route would draw in the packets to
 * whatever node has that network now.
 */
function isRival(cidr: Cidr, gateway: Cidr): boolean {
  if (cidr.overlaps(gateway)) return true;
  return cidr.length === gateway.length && cidr.ip.equals(cidr.first().add(1));
}

/** The ports of the bridge but the one that leads to the gateway's own interface. */
function podPorts(client: Rtnetlink, bridge: Link, gateway: Link): readonly Link[] {
  return client.links().filter(({ master, index }) => master === bridge.index && index !== gateway.parent);
}
