import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { DirectRoutes } from './direct-routes.ts';
import { entryKey, type Entry, type HostPlan, type RouteEntry } from './plan.ts';

/** A route through a link that is not ours. */
export function isDirect(plan: HostPlan, route: RouteEntry): boolean {
  return plan.links.every((link) => link.name !== route.link);
}

/**
 * Keeps the record of direct routes in step with the kernel. A record that cannot be written must not keep the routes from being made: it
 * only matters over a restart.
 */
export class DirectRecord {
  readonly #routes: DirectRoutes;
  readonly #log: Logger;
  #complaint = '';

  constructor(routes: DirectRoutes, log: Logger) {
    this.#routes = routes;
    this.#log = log;
  }

  known(): readonly RouteEntry[] {
    return this.#routes.known();
  }

  remember(routes: readonly RouteEntry[]): void {
    if (routes.length > 0) this.#write(() => this.#routes.remember(routes));
  }

  forget(routes: readonly RouteEntry[]): void {
    if (routes.length > 0) this.#write(() => this.#routes.forget(routes));
  }

  /** Direct routes that were there already, perhaps made by the original: from now on they are ours. */
  adopt(plan: HostPlan, right: ReadonlySet<Entry>): void {
    const direct: RouteEntry[] = [];
    for (const entry of right) if (entry.type === 'route' && isDirect(plan, entry)) direct.push(entry);
    this.remember(direct);
  }

  /** Records of routes that are neither planned nor there: somebody else made an end of them. */
  forgetVanished(plan: HostPlan, alive: readonly Entry[]): void {
    const keys = new Set(alive.map(entryKey));
    this.forget(
      this.known().filter((route) => {
        const wanted = plan.entries.get(entryKey(route));
        const direct = wanted?.type === 'route' && isDirect(plan, wanted);
        return !direct && !keys.has(entryKey(route));
      }),
    );
  }

  #write(write: () => void): void {
    try {
      write();
      this.#complaint = '';
    } catch (error) {
      const text = describe(error);
      if (text !== this.#complaint) {
        this.#log.warn('direct routes cannot be written down; after a restart stale ones may stay', {
          error: text,
        });
      }
      this.#complaint = text;
    }
  }
}
