import { isExists } from '#base/errors.ts';
import type { NetlinkRequest } from '#netlink/message.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { IF_OPER } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { newLink, setBridgePort } from '#rtnetlink/requests.ts';
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
  const { client, container, ifName } = setup;
  const hostEnd = createWithFreeName(setup);
  try {
    const containerEnd = container.client.link(ifName);
    if (containerEnd === undefined) throw removedMeanwhile(hostEnd.name);
    return { hostEnd, containerEnd };
  } catch (error) {
    client.deleteLink(hostEnd.index);
    throw error;
  }
}

/** Makes the pair and reads the host's end in one send. */
function createWithFreeName(setup: VethSetup): Link {
  const { client, container, bridge, ifName, config, host } = setup;
  const { mtu } = config;
  for (let attempt = 1; ; attempt += 1) {
    const name = `veth${host.random(4).toHex()}`;
    const peer = { name: ifName, netns: container.netns, mac: config.mac, mtu };
    const pair = newLink({ name, kind: { type: 'veth', peer }, mtu, master: bridge.index, up: true });
    const { errors, link } = client.applyAndRead([pair], name);
    const [error] = errors;
    if (error === undefined) {
      if (link !== undefined) return link;
      throw removedMeanwhile(name);
    }
    if (!isExists(error)) throw error;
    if (container.client.link(ifName) !== undefined) throw interfaceExists(ifName);
    if (attempt === NAME_TRIES) throw error;
  }
}

function removedMeanwhile(name: string): CniError {
  return new CniError(CODE.INTERNAL, `veth pair ${name} was removed while it was being set up`);
}

/** What the bridge is to do with the port. */
function portOptions(port: Link, { hairpin, isolated }: BridgeConfig): NetlinkRequest[] {
  if (!hairpin && !isolated) return [];
  return [setBridgePort(port.index, { ...(hairpin ? { hairpin } : {}), ...(isolated ? { isolated } : {}) })];
}

export function interfaceExists(ifName: string): CniError {
  return new CniError(CODE.INTERNAL, `container already has an interface ${JSON.stringify(ifName)}`, {
    details: 'DEL this container first, or use another CNI_IFNAME',
  });
}

/** Sets the options of the port, and what `more` asks for, whose errors do not count. */
export function setUpPort(
  { client, hostEnd, config }: PortSetup,
  more: readonly NetlinkRequest[] = [],
): Link | undefined {
  const options = portOptions(hostEnd, config);
  const { errors, link } = client.applyAndRead([...options, ...more], hostEnd.index);
  const [error] = errors;
  if (options.length > 0 && error !== undefined) throw error;
  return link;
}

export interface PortSetup {
  readonly client: Rtnetlink;
  readonly bridge: Link;
  readonly hostEnd: Link;
  readonly config: BridgeConfig;
}

/** Waits until the bridge forwards to the new port, last seen as `seen`: a packet before that would be lost. */
export function waitForCarrier(
  { client, bridge, hostEnd }: PortSetup,
  seen: Link | undefined,
  host: Host,
): void {
  const end = host.now() + CARRIER_TIMEOUT;
  for (let port = seen; ; port = client.link(hostEnd.index)) {
    if (port !== undefined && port.master !== bridge.index) throw leftBridge(hostEnd, bridge);
    if (port?.operState === IF_OPER.UP) return;
    if (port === undefined || host.now() > end) {
      const message = `bridge port ${hostEnd.name} has no carrier after ${CARRIER_TIMEOUT} ms`;
      throw new CniError(CODE.INTERNAL, message);
    }
    host.sleep(1);
  }
}

function leftBridge(port: Link, bridge: Link): CniError {
  return new CniError(CODE.INTERNAL, `${port.name} left bridge ${bridge.name} while it was being set up`, {
    details: 'somebody else has taken the port out of the bridge, or removed the bridge; try again',
  });
}
