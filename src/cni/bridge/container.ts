import { hasErrno } from '#base/errors.ts';
import { withNetns } from '#ffi/netns.ts';
import type { Socket } from '#ffi/socket.ts';
import { IFA_F } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { addAddress, addRoute, setLink } from '#rtnetlink/requests.ts';
import type { Container } from '../container.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import type { CniRoute } from '../result.ts';
import { announce, openFrameSocket } from './announce.ts';
import type { BridgeConfig } from './config.ts';
import { gatewayFor, type Addressing } from './gateway.ts';
import { prepareContainer } from './sysctl.ts';

/** Longest wait for duplicate address detection, ms. */
const DAD_TIMEOUT = 10_000;

export interface ContainerSetup {
  readonly container: Container;
  /** The container's end of the pair. */
  readonly link: Link;
  readonly addressing: Addressing;
  readonly config: BridgeConfig;
  readonly host: Host;
}

/** Brings the container's end up with addresses and routes. Returns what announces the addresses later. */
export function configureContainer(setup: ContainerSetup): Socket | undefined {
  const { container, link, addressing, config } = setup;
  const ipv6 = addressing.ips.some(({ address }) => address.family === 'ipv6');
  const { dadHandled, socket } = withNetns(container.netns, () => ({
    dadHandled: prepareContainer(link.name, { dad: config.dad, ipv6 }),
    socket: tryOpenFrameSocket(setup.host),
  }));
  const flags = config.dad || dadHandled ? undefined : IFA_F.NODAD;
  const requests = [
    ...addressing.ips.map(({ address }) =>
      addAddress({
        link: link.index,
        cidr: address,
        broadcast: 'auto',
        flags: address.family === 'ipv6' ? flags : undefined,
      }),
    ),
    setLink(link.index, { up: true }),
  ];
  try {
    for (const error of container.client.apply(requests)) if (error !== undefined) throw error;
    if (config.dad && ipv6) settle(setup);
    addRoutes(setup);
  } catch (error) {
    socket?.close();
    throw error;
  }
  return socket;
}

function tryOpenFrameSocket(host: Host): Socket | undefined {
  try {
    return openFrameSocket();
  } catch (error) {
    host.warn(`bridge: addresses are not announced: ${String(error)}`);
    return undefined;
  }
}

/** All in one send. A route that the address itself has made already is what was asked for. */
function addRoutes({ container, link, addressing }: ContainerSetup): void {
  const routes = addressing.routes.map((route) => ({ route, gateway: gatewayFor(route, addressing.ips) }));
  const errors = container.client.apply(
    routes.map(({ route, gateway }) =>
      addRoute({
        dst: route.dst.length === 0 ? { default: route.dst.family } : route.dst,
        gateway,
        link: link.index,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
        ...metricsOf(route),
      }),
    ),
  );
  for (const error of errors) if (error !== undefined && !hasErrno(error, 'EEXIST')) throw error;
}

function metricsOf({ mtu, advmss }: CniRoute) {
  return mtu === undefined && advmss === undefined ? {} : { metrics: { mtu, advmss } };
}

/** Waits until no IPv6 address is tentative; throws when somebody else has one. */
function settle({ container, link, host }: ContainerSetup): void {
  const end = host.now() + DAD_TIMEOUT;
  for (;;) {
    const addresses = container.client.addresses({ link: link.index, family: 'ipv6' });
    const clash = addresses.find(({ flags }) => (flags & IFA_F.DADFAILED) !== 0);
    if (clash !== undefined) {
      throw new CniError(
        CODE.INTERNAL,
        `IPv6 duplicate address detection failure for ${clash.cidr} on ${link.name}`,
      );
    }
    if (addresses.every(({ flags }) => (flags & IFA_F.TENTATIVE) === 0)) return;
    if (host.now() > end) {
      throw new CniError(
        CODE.INTERNAL,
        `addresses of ${link.name} are still tentative after ${DAD_TIMEOUT} ms`,
      );
    }
    host.sleep(10);
  }
}

/** Best effort: a neighbour that misses it finds out by itself, later. */
export function announceAll(socket: Socket, link: Link, { addressing, host }: ContainerSetup): void {
  const { mac } = link;
  if (mac === undefined) return;
  try {
    for (const { address } of addressing.ips) announce(socket, link.index, { mac, ip: address.ip });
  } catch (error) {
    host.warn(`bridge: addresses are not announced: ${String(error)}`);
  }
}
