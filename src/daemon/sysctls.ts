import type { Logger } from '#base/log.ts';
import type { VxlanLink } from '#host/plan.ts';
import { readSysctl, setSysctl } from '#host/sysctl.ts';
import type { Family } from '#net/family.ts';
import { BRIDGE_NETFILTER } from './bridge-netfilter.ts';

/** The kernel tells nobody of a sysctl that changes: they are looked at this often, ms. */
const PERIOD = 800;

/** A kernel setting without which pods lose packets. */
export interface SysctlWish {
  /** Below /proc/sys; one that the kernel does not have is left alone. */
  readonly path: string;
  readonly value: string;
  /** What is broken while it is otherwise. */
  readonly without: string;
}

export interface SysctlScene {
  readonly families: readonly Family[];
  readonly links: readonly Pick<VxlanLink, 'name' | 'local'>[];
  /** Traffic rules in iptables: bridged packets must pass them. */
  readonly iptables: boolean;
}

/** The sysctl that lets a host forward, by family. */
export const FORWARDING: Readonly<Record<Family, string>> = {
  ipv4: 'net/ipv4/ip_forward',
  ipv6: 'net/ipv6/conf/all/forwarding',
};

/** What this node's pods need. */
export function sysctlWishes({ families, links, iptables }: SysctlScene): SysctlWish[] {
  const wishes: SysctlWish[] = [];
  for (const family of families) {
    wishes.push({
      path: FORWARDING[family],
      value: '1',
      without: `no pod reaches another node by ${family}`,
    });
    if (!iptables) continue;
    const without = 'services between pods of one node do not work in iptables mode';
    wishes.push({ path: BRIDGE_NETFILTER[family], value: '1', without });
  }
  for (const { name } of links) {
    const without = 'a router advertisement inside the overlay would be believed';
    wishes.push({ path: `net/ipv6/conf/${name}/accept_ra`, value: '0', without });
  }
  return wishes;
}

export interface SysctlTools {
  /** The value of a sysctl by its path; undefined when it does not exist. */
  readonly read: (path: string) => string | undefined;
  /** False when it cannot be set. */
  readonly write: (path: string, value: string) => boolean;
}

export interface SysctlsOptions {
  readonly wishes: readonly SysctlWish[];
  /** Name of the external interface. */
  readonly external: string;
  readonly log: Logger;
  /** Hears of what somebody else had changed and is put right. */
  readonly onRepair: (what: string) => void;
  readonly tools?: SysctlTools;
}

/** Keeps kernel settings as pods need them: at once, and whenever somebody changes them. */
export class Sysctls implements Disposable {
  readonly #options: SysctlsOptions;
  readonly #tools: SysctlTools;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Paths that could not be set. */
  readonly #complaints = new Set<string>();
  #started = false;

  constructor(options: SysctlsOptions) {
    this.#options = options;
    this.#tools = options.tools ?? { read: readSysctl, write: setSysctl };
    this.check();
    this.#timer = setInterval(() => this.check(), PERIOD);
  }

  /** One look at all of them. */
  check(): void {
    for (const wish of this.#options.wishes) this.#check(wish);
    this.#started = true;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #check(wish: SysctlWish): void {
    const { path, value, without } = wish;
    const { log, onRepair } = this.#options;
    const found = this.#tools.read(path);
    if (found === undefined || found === value) {
      this.#complaints.delete(path);
      return;
    }
    const sysctl = path.replaceAll('/', '.');
    if (path === FORWARDING.ipv6) this.#keepRouterAdvertisements();
    if (this.#tools.write(path, value)) {
      const fields = { sysctl, found, now: value };
      if (this.#started) {
        log.warn('a kernel setting was changed by somebody else; put back', fields);
        onRepair(`${sysctl} was ${found}`);
      } else log.info('kernel setting changed', fields);
      this.#complaints.delete(path);
    } else if (!this.#complaints.has(path)) {
      this.#complaints.add(path);
      log.warn('a kernel setting is wrong and cannot be changed from here', {
        sysctl,
        found,
        without,
        cure: `sysctl -w ${sysctl}=${value}`,
      });
    }
  }

  /**
   * A host that forwards no longer listens to routers, and would lose its default route when that expires, unless
   * accept_ra is 2 (`Documentation/networking/ip-sysctl.rst`).
   */
  #keepRouterAdvertisements(): void {
    const path = `net/ipv6/conf/${this.#options.external}/accept_ra`;
    if (this.#tools.read(path) !== '1') return;
    if (this.#tools.write(path, '2')) {
      const sysctl = path.replaceAll('/', '.');
      this.#options.log.info('kernel setting changed', { sysctl, found: '1', now: '2' });
    }
  }
}
