import { isExists } from '#base/errors.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { IF_OPER } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import type { BridgeConfig } from './config.ts';
import type { Container } from '../container.ts';

const NAME_TRIES = 10;
/** Longest wait for the bridge port to see its carrier, ms. It takes less than one unless the machine is busy. */
const CARRIER_TIMEOUT = 2_000;

export interface VethPair {
  /** The port of the bridge. */
  readonly hostEnd: Link;
  readonly containerEnd: Link;
}

export interface VethSetup {
  readonly client: Rtnetlink;
  readonly container: Container;
  readonly bridge: Link;
  readonly ifName: string;
  readonly config: BridgeConfig;
  readonly host: Host;
}

/**
 * Makes the pair: the host's end a port of the bridge and up, the container's end in its namespace from birth, down.
 * Throws EEXIST as CniError when the container has such an interface.
 */
export function createPair(setup: VethSetup): VethPair {
  const { client, container, ifName, config } = setup;
  const name = createWithFreeName(setup);
  try {
    const hostEnd = client.link(name);
    const containerEnd = container.client.link(ifName);
    if (hostEnd === undefined || containerEnd === undefined) {
      throw new CniError(CODE.INTERNAL, `veth pair ${name} was removed while it was being set up`);
    }
    if (config.hairpin || config.isolated) {
      client.setBridgePort(hostEnd.index, {
        ...(config.hairpin ? { hairpin: true } : {}),
        ...(config.isolated ? { isolated: true } : {}),
      });
    }
    return { hostEnd, containerEnd };
  } catch (error) {
    client.deleteLink(name);
    throw error;
  }
}

function createWithFreeName(setup: VethSetup): string {
  const { client, container, bridge, ifName, config, host } = setup;
  for (let attempt = 1; ; attempt += 1) {
    const name = `veth${host.random(4).toHex()}`;
    try {
      client.createLink({
        name,
        kind: {
          type: 'veth',
          peer: { name: ifName, netns: container.netns, mac: config.mac, mtu: config.mtu },
        },
        mtu: config.mtu,
        master: bridge.index,
        up: true,
      });
      return name;
    } catch (error) {
      if (!isExists(error)) throw error;
      if (container.client.link(ifName) !== undefined) throw interfaceExists(ifName);
      if (attempt === NAME_TRIES) throw error;
    }
  }
}

export function interfaceExists(ifName: string): CniError {
  return new CniError(CODE.INTERNAL, `container already has an interface ${JSON.stringify(ifName)}`, {
    details: 'DEL this container first, or use another CNI_IFNAME',
  });
}

/** Waits until the bridge forwards to the new port: a packet before that would be lost. */
export function waitForCarrier(client: Rtnetlink, port: Link, host: Host): void {
  const end = host.now() + CARRIER_TIMEOUT;
  for (;;) {
    const operState = client.link(port.index)?.operState;
    if (operState === IF_OPER.UP) return;
    if (operState === undefined || host.now() > end) {
      throw new CniError(
        CODE.INTERNAL,
        `bridge port ${port.name} has no carrier after ${CARRIER_TIMEOUT} ms`,
      );
    }
    host.sleep(1);
  }
}
