import { isExists } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import { Mac } from '#net/mac.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { IFF } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import type { BridgeConfig } from './config.ts';
import { prepareBridge } from './sysctl.ts';

/** Finds or makes the bridge, up. Any number of calls may do this at once. */
export function ensureBridge(client: Rtnetlink, config: BridgeConfig, host: Host): Link {
  const bridge = client.link(config.bridge) ?? createBridge(client, config, host);
  if (bridge.kind?.type !== 'bridge') {
    throw new CniError(CODE.INTERNAL, `${JSON.stringify(config.bridge)} already exists but is not a bridge`, {
      details: `rename that link, or set "bridge" to another name`,
    });
  }
  const promiscuous = config.promiscuous && (bridge.flags & IFF.PROMISC) === 0;
  if (bridge.up && !promiscuous) return bridge;
  if (!bridge.up) prepareBridge(bridge.name, config.dad);
  client.setLink(bridge.index, { up: true, ...(promiscuous ? { promiscuous } : {}) });
  return bridge;
}

function createBridge(client: Rtnetlink, config: BridgeConfig, host: Host): Link {
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
  }
  const bridge = client.link(config.bridge);
  if (bridge !== undefined) return bridge;
  throw new CniError(CODE.INTERNAL, `bridge ${config.bridge} was removed while it was being set up`);
}

/**
 * Gives the bridge its gateway address. An address of an earlier configuration is replaced when no pod is there to use
 * it or `forceAddress` says so; otherwise both stay, and the runtime's log names the pods that hold the old one.
 */
export function ensureGateway(
  client: Rtnetlink,
  on: { readonly bridge: Link; readonly config: BridgeConfig; readonly host: Host },
  gateway: Cidr,
): void {
  const { bridge, config, host } = on;
  const present = client
    .addresses({ link: bridge.index, family: gateway.family })
    .filter(({ cidr }) => !cidr.ip.isLinkLocal());
  if (present.some(({ cidr }) => cidr.equals(gateway))) return;
  const others = present.filter(({ cidr }) => gateway.family === 'ipv4' || cidr.overlaps(gateway));
  if (others.length > 0) {
    const ports = config.forceAddress ? [] : client.links().filter((link) => link.master === bridge.index);
    if (ports.length === 0) for (const { cidr } of others) client.deleteAddress({ link: bridge.index, cidr });
    else {
      const names = ports.map((port) => port.name).join(', ');
      host.warn(
        `bridge: ${bridge.name} already has an IP address different from ${gateway}: ` +
          `${others.map(({ cidr }) => cidr).join(', ')} stays for the pods on ${names}; restart them to be rid of it`,
      );
    }
  }
  if (gateway.family === 'ipv6') prepareBridge(bridge.name, config.dad);
  try {
    client.addAddress({ link: bridge.index, cidr: gateway, broadcast: 'auto' });
  } catch (error) {
    if (!isExists(error)) throw error;
  }
}
