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
      log.info('external interface', { interface: link.name, mtu: link.mtu, reason, ...addresses });
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
export function viewOf(rtnetlink: Rtnetlink): InterfaceView {
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

/** Answers about addresses that no peer has any more are forgotten now and then. */
const MAX_ANSWERS = 20_000;

/** Whether peers are on the link of the external interface, by the host's routes. */
export class Reach {
  readonly #rtnetlink: Rtnetlink;
  readonly #external: ExternalInterface;
  readonly #answers = new Map<string, boolean>();
  #usable: ReadonlySet<Family> = new Set();
  #index: number | undefined;

  constructor(rtnetlink: Rtnetlink, external: ExternalInterface) {
    this.#rtnetlink = rtnetlink;
    this.#external = external;
    this.refresh();
  }

  /** Looks at the interface: a family's routes say nothing about peers while it is down or lacks its address. */
  refresh(): void {
    const { name, addresses } = this.#external;
    const link = this.#rtnetlink.link(name);
    this.#index = link?.index;
    if (this.#answers.size > MAX_ANSWERS) this.#answers.clear();
    const own = link?.up === true ? this.#rtnetlink.addresses({ link: link.index }) : [];
    const there = Object.values(addresses).filter((ip) => own.some(({ cidr }) => cidr.ip.equals(ip)));
    this.#usable = new Set(there.map(({ family }) => family));
  }

  /** True when a packet to `ip` leaves through the interface without a gateway; as before while that cannot be said. */
  isOnLink(ip: Ip): boolean {
    const key = ip.toString();
    const before = this.#answers.get(key);
    if (before !== undefined && !this.#usable.has(ip.family)) return before;
    const now = this.#lookup(ip);
    this.#answers.set(key, now);
    return now;
  }

  #lookup(ip: Ip): boolean {
    try {
      const route = this.#rtnetlink.routeTo(ip);
      return route.gateway === undefined && route.link === this.#index;
    } catch {
      // No route at all: not on link.
      return false;
    }
  }
}
