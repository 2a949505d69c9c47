import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { sameEntry, type RouteEntry } from './plan.ts';

/**
 * Routes that we made through links which are not ours (DirectRouting, host-gw). Nothing in the kernel tells them from
 * an administrator's (the original leaves no mark either, and its routes must look the same), so they are written down
 * before they are made. The record lives in /run: it lasts exactly as long as the routes do.
 */
export interface DirectRoutes {
  known(): readonly RouteEntry[];
  remember(routes: readonly RouteEntry[]): void;
  forget(routes: readonly RouteEntry[]): void;
}

export class MemoryDirectRoutes implements DirectRoutes {
  protected readonly routes = new Map<string, RouteEntry>();

  known(): readonly RouteEntry[] {
    return [...this.routes.values()];
  }

  remember(routes: readonly RouteEntry[]): void {
    for (const route of routes) this.routes.set(route.dst.toString(), route);
  }

  forget(routes: readonly RouteEntry[]): void {
    for (const route of routes) this.routes.delete(route.dst.toString());
  }
}

/** The record as a file of lines `<dst> <gateway> <link>`; a damaged line is skipped. */
export class FileDirectRoutes extends MemoryDirectRoutes {
  readonly #path: string;

  constructor(path: string) {
    super();
    this.#path = path;
    for (const line of readLines(path)) {
      const [dst = '', gateway = '', link = ''] = line.split(' ');
      const cidr = Cidr.tryParse(dst);
      const ip = Ip.tryParse(gateway);
      if (cidr === undefined || ip === undefined || link === '') continue;
      super.remember([{ type: 'route', dst: cidr, gateway: ip, link, onlink: false }]);
    }
  }

  override remember(routes: readonly RouteEntry[]): void {
    const news = routes.filter((route) => {
      const known = this.routes.get(route.dst.toString());
      return known === undefined || !sameEntry(known, route);
    });
    if (news.length === 0) return;
    super.remember(news);
    this.#save();
  }

  override forget(routes: readonly RouteEntry[]): void {
    const known = routes.filter((route) => this.routes.has(route.dst.toString()));
    if (known.length === 0) return;
    super.forget(known);
    this.#save();
  }

  #save(): void {
    const lines = this.known().map((route) => `${route.dst} ${route.gateway} ${route.link}\n`);
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.tmp`;
    writeFileSync(temporary, lines.join(''), { mode: 0o600 });
    renameSync(temporary, this.#path);
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
