import { describe, hasErrno } from '#base/errors.ts';
import { withNetns } from '#ffi/netns.ts';
import type { NetlinkRequest } from '#netlink/message.ts';
import { IFA_F } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import { addAddress, addRoute, setLink } from '#rtnetlink/requests.ts';
import type { Container } from '../container.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import type { CniRoute } from '../result.ts';
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

/** Brings the container's end up with addresses and routes. */
export function configureContainer(setup: ContainerSetup): void {
  const { container, link, addressing, config } = setup;
  const ipv6 = addressing.ips.some(({ address }) => address.family === 'ipv6');
  const dadHandled = withNetns(container.netns, () => prepareContainer(link.name, { dad: config.dad, ipv6 }));
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
  // A route may name an address as its source only when detection is through with it.
  const waits = config.dad && ipv6;
  apply(container, requests, waits ? [] : routeRequests(setup));
  if (!waits) return;
  settle(setup);
  apply(container, [], routeRequests(setup));
}

/** All in one send. A route that an address itself has made already is what was asked for. */
function apply(
  { client }: Container,
  requests: readonly NetlinkRequest[],
  routes: readonly NetlinkRequest[],
): void {
  for (const [index, error] of client.apply([...requests, ...routes]).entries()) {
    if (error === undefined || (index >= requests.length && hasErrno(error, 'EEXIST'))) continue;
    throw error;
  }
}

function routeRequests({ link, addressing }: ContainerSetup): NetlinkRequest[] {
  const routes = addressing.routes.map((route) => ({ route, gateway: gatewayFor(route, addressing.ips) }));
  return routes.map(({ route, gateway }) =>
    addRoute({
      dst: route.dst.length === 0 ? { default: route.dst.family } : route.dst,
      gateway,
      link: link.index,
      priority: route.priority,
      table: route.table,
      scope: route.scope,
      ...metricsOf(route),
    }),
  );
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

/**
 * Tells the other pods who has the addresses now, so that what they remember of the last owner goes. The kernel does it
 * (gratuitous ARP, unsolicited neighbour advertisement: `arp_notify` and `ndisc_notify` are on) when the MAC is set, even
 * to what it is. A packet socket would do it too, but closing one waits 11 ms for the kernel. Best effort: a neighbour
 * that misses it finds out by itself, later.
 */
export function announce({ container, link, host }: ContainerSetup): void {
  if (link.mac === undefined) return;
  try {
    container.client.setLink(link.index, { mac: link.mac });
  } catch (error) {
    host.warn(`bridge: addresses are not announced: ${describe(error)}`);
  }
}
