import type { Clock } from '#base/clock.ts';
import { isNotFound, hasErrno } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { ExternalInterface } from '#backend/backend.ts';
import {
  chooseInterface,
  publicAddress,
  type InterfaceChoice,
  type InterfaceView,
} from '#host/external-interface.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { RTN, RT_TABLE } from '#rtnetlink/constants.ts';
import type { PerFamily } from '#subnet/lease.ts';
import { PUBLIC_IP } from './options.ts';

export interface ExternalOptions {
  readonly rtnetlink: Rtnetlink;
  readonly choice: Omit<InterfaceChoice, 'publicIps'>;
  /** `--public-ip`, `--public-ipv6`; empty when not given. */
  readonly publicIp: Readonly<Record<Family, string>>;
  /** The operator's annotation on the Node. */
  readonly annotated: PerFamily<Ip>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told what is being waited for. */
  readonly onWait: (reason: string) => void;
}

const RETRY = 1000;

/** So long every family is waited for, ms: at boot the addresses come one after another. Then one of them is enough. */
const PATIENCE = 10_000;

/** Finds the external interface; waits while there is none (no default route yet after boot). */
export async function findExternalInterface(options: ExternalOptions): Promise<ExternalInterface> {
  const { rtnetlink, choice, clock, log, signal } = options;
  const publicIps = Object.values(publicAddresses(options, {}));
  const start = clock.monotonic();
  for (let said = ''; ;) {
    const modest = clock.monotonic() - start >= PATIENCE;
    const chosen = chooseInterface(viewOf(rtnetlink), { ...choice, publicIps, modest });
    if (!('wait' in chosen)) {
      const publicIps = publicAddresses(options, chosen.addresses);
      const { link, addresses, missing, reason } = chosen;
      log.info('external interface', { name: link.name, mtu: link.mtu, reason, ...addresses });
      for (const family of missing) {
        delete publicIps[family];
        log.warn('going on without a family; it follows when the interface has an address', {
          family,
          name: link.name,
        });
      }
      return { name: link.name, mtu: link.mtu, addresses, publicIps };
    }
    if (chosen.wait !== said) log.warn('waiting for the external interface', { reason: chosen.wait });
    said = chosen.wait;
    options.onWait(`external interface: ${chosen.wait}`);
    await clock.sleep(RETRY, signal);
  }
}

function publicAddresses(options: ExternalOptions, addresses: PerFamily<Ip>): Partial<Record<Family, Ip>> {
  const found: Partial<Record<Family, Ip>> = {};
  for (const family of options.choice.families) {
    const own = addresses[family];
    const annotation = options.annotated[family];
    const ip = publicAddress(options.publicIp[family], {
      name: `--${PUBLIC_IP[family]}`,
      family,
      annotation,
      own,
    });
    if (ip !== undefined) found[family] = ip;
  }
  return found;
}

/** The live view that the choice is made from. */
function viewOf(rtnetlink: Rtnetlink): InterfaceView {
  return {
    links: rtnetlink.links(),
    addresses: rtnetlink.addresses(),
    defaultRoutes: (family) =>
      rtnetlink
        .routes({ family, table: RT_TABLE.MAIN })
        .filter((route) => route.dst === undefined && route.type === RTN.UNICAST),
    linkTo(ip) {
      try {
        return rtnetlink.routeTo(ip).link;
      } catch (error) {
        if (isNotFound(error) || hasErrno(error, 'ENETUNREACH') || hasErrno(error, 'EHOSTUNREACH'))
          return undefined;
        throw error;
      }
    },
  };
}

/** True when a packet to `ip` leaves through `link` without a gateway: the route lookup answers with none. */
export function isOnLink(rtnetlink: Rtnetlink, link: string, ip: Ip): boolean {
  try {
    const route = rtnetlink.routeTo(ip);
    return route.gateway === undefined && route.link === rtnetlink.link(link)?.index;
  } catch {
    // No route at all: not on link.
    return false;
  }
}

/** True while the interface is up and has the addresses that were found: only then routes say anything about peers. */
export function isUsable(
  rtnetlink: Pick<Rtnetlink, 'link' | 'addresses'>,
  { name, addresses }: ExternalInterface,
): boolean {
  const link = rtnetlink.link(name);
  if (link?.up !== true) return false;
  const own = rtnetlink.addresses({ link: link.index });
  return Object.values(addresses).every((ip) => own.some(({ cidr }) => cidr.ip.equals(ip)));
}
