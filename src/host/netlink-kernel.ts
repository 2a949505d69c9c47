import { ERRNO, ErrnoError, hasErrno } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { NetlinkError, type NetlinkRequest } from '#netlink/message.ts';
import { Ethtool } from '#genetlink/ethtool/client.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import { NUD, RTN, RTPROT, RT_TABLE } from '#rtnetlink/constants.ts';
import type { NewLinkKind } from '#rtnetlink/link.ts';
import {
  addAddress,
  addFdb,
  addNeighbour,
  addRoute,
  deleteAddress,
  deleteFdb,
  deleteLink,
  deleteNeighbour,
  deleteRoute,
  newLink,
  setLink,
} from '#rtnetlink/requests.ts';
import { DEFAULT_PRIORITY } from './entries.ts';
import { hostLink } from './host-link.ts';
import type {
  HostAddress,
  HostFdb,
  HostLink,
  HostNeighbour,
  HostRoute,
  KernelOp,
  KernelPort,
} from './kernel.ts';
import { BLACKHOLE_PRIORITY, type Entry, type RouteEntry, type VxlanLink } from './plan.ts';
import { explainDown, explainRefusal } from './refusal.ts';
import { readSysctl, setSysctl } from './sysctl.ts';

const BLOCKING: ReadonlySet<number> = new Set([RTN.BLACKHOLE, RTN.UNREACHABLE, RTN.PROHIBIT, RTN.THROW]);

/** The feature that makes the kernel leave checksums, those of inner packets too, to the device below. */
const TX_CHECKSUM = 'tx-checksum-ip-generic';

/** The kernel port over rtnetlink, for the network namespace that `rtnetlink` was opened in and that is the current one. */
export class NetlinkKernel implements KernelPort, Disposable {
  readonly #rtnetlink: Rtnetlink;
  readonly #indices = new Map<string, number>();
  #ethtool: Ethtool | undefined;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  links(): HostLink[] {
    const links = this.#rtnetlink.links();
    this.#indices.clear();
    for (const link of links) this.#indices.set(link.name, link.index);
    return links.map(hostLink);
  }

  txChecksum(name: string): boolean {
    return this.#features().features(name).has(TX_CHECKSUM);
  }

  addresses(link: number): HostAddress[] {
    return this.#rtnetlink.addresses({ link });
  }

  neighbours(link: number, family: Family): HostNeighbour[] {
    return this.#rtnetlink.neighbours({ link, family }).map((entry) => ({
      link,
      ip: entry.ip,
      mac: entry.mac,
      permanent: (entry.state & NUD.PERMANENT) !== 0,
    }));
  }

  fdb(link: number): HostFdb[] {
    return this.#rtnetlink
      .fdb({ link })
      .map(({ mac, dst, state }) => ({ link, mac, dst, permanent: (state & NUD.PERMANENT) !== 0 }));
  }

  routes(family: Family, link?: number): HostRoute[] {
    const filter = { family, table: RT_TABLE.MAIN, ...(link === undefined ? {} : { link }) };
    const routes = this.#rtnetlink.routes(filter);
    return routes
      .filter((route) => route.type === RTN.UNICAST || BLOCKING.has(route.type))
      .filter((route) => link === undefined || route.link === link)
      .map((route) => ({
        ...route,
        byKernel: route.protocol === RTPROT.KERNEL,
        blocking: BLOCKING.has(route.type),
      }));
  }

  blackholes(family: Family): Cidr[] {
    return this.#rtnetlink
      .routes({ family, table: RT_TABLE.MAIN })
      .filter((route) => route.type === RTN.BLACKHOLE && route.priority === BLACKHOLE_PRIORITY)
      .flatMap(({ dst }) => (dst === undefined ? [] : [dst]));
  }

  settleLink(name: string, family: Family): readonly string[] {
    // Router advertisements have no business inside the overlay. An administrator may have IPv6 off by default.
    const keys = family === 'ipv6' ? ['accept_ra', 'disable_ipv6'] : ['accept_ra'];
    return keys.filter((key) => {
      const path = `net/ipv6/conf/${name}/${key}`;
      const found = readSysctl(path);
      return found !== undefined && found !== '0' && setSysctl(path, '0');
    });
  }

  apply(ops: readonly KernelOp[]): (ErrnoError | undefined)[] {
    const results: (ErrnoError | undefined)[] = [];
    let batch: NetlinkRequest[] = [];
    const flush = () => {
      if (batch.length > 0) results.push(...this.#rtnetlink.apply(batch));
      batch = [];
    };
    for (const op of ops) {
      const request = this.#request(op);
      if (request !== undefined) batch.push(request);
      else if (op.op === 'set-tx-checksum') {
        flush();
        results.push(this.#setTxChecksum(op.name, op.on));
        continue;
      }
      // A link's index is known only once the requests before it are done.
      if (request === undefined || op.op === 'create-vxlan' || op.op === 'delete-link') {
        flush();
        if (request === undefined) results.push(gone(op.op));
        else this.links();
      }
      if (op.op === 'create-vxlan') results.push(explainRefusal(results.pop(), op.link, () => this.links()));
    }
    flush();
    for (const [at, op] of ops.entries()) {
      if (isMisled(op, results[at])) results[at] = this.#putAnew(op.entry);
      else if (op.op === 'set-link') results[at] = explainDown(results[at], op.name, () => this.links());
    }
    return results;
  }

  /** Puts a route in two steps: what is at its place with our priority goes first. */
  #putAnew(route: RouteEntry): ErrnoError | undefined {
    const link = this.#index(route.link);
    if (link === undefined) return gone('put');
    const { dst } = route;
    const old = deleteRoute({ dst, priority: DEFAULT_PRIORITY.ipv6 });
    return this.#rtnetlink.apply([old, entryRequest(route, link, 'put')])[1];
  }

  [Symbol.dispose](): void {
    this.#ethtool?.close();
    this.#ethtool = undefined;
  }

  #features(): Ethtool {
    this.#ethtool ??= Ethtool.open();
    return this.#ethtool;
  }

  /** Generic netlink is another socket: no part of a batch. */
  #setTxChecksum(link: string, on: boolean): ErrnoError | undefined {
    try {
      this.#features().setFeature({ link, feature: TX_CHECKSUM, on });
      return undefined;
    } catch (error) {
      if (error instanceof ErrnoError) return error;
      throw error;
    }
  }

  /** Undefined when the link that the change is about does not exist, and for what rtnetlink does not do. */
  #request(op: KernelOp): NetlinkRequest | undefined {
    switch (op.op) {
      case 'create-vxlan': {
        const parent = this.#index(op.link.parent);
        return parent === undefined ? undefined : newLink(vxlanSpec(op.link, parent));
      }
      case 'delete-link':
        return deleteLink(op.name);
      case 'set-link': {
        const link = this.#index(op.name);
        const { mtu, mac, up } = op;
        const master = op.leave === true ? 0 : undefined;
        return link === undefined ? undefined : setLink(link, { mtu, mac, up, master });
      }
      case 'set-tx-checksum':
        return undefined;
      case 'add-address':
      case 'delete-address': {
        const link = this.#index(op.link);
        if (link === undefined) return undefined;
        return op.op === 'add-address'
          ? addAddress({ link, cidr: op.cidr })
          : deleteAddress({ link, cidr: op.cidr });
      }
      case 'add-blackhole':
        return addRoute(blackhole(op.dst), { replace: true });
      case 'delete-blackhole':
        return deleteRoute(blackhole(op.dst));
      case 'evict': {
        const { dst, gateway, link, blocking, priority } = op.route;
        if (dst === undefined) return undefined;
        // The device of a blocking route is the kernel's own idea.
        return deleteRoute(blocking === true ? { dst, priority } : { dst, gateway, link, priority });
      }
      case 'put':
      case 'remove': {
        const link = this.#index(op.entry.link);
        return link === undefined ? undefined : entryRequest(op.entry, link, op.op);
      }
    }
  }

  #index(name: string): number | undefined {
    if (!this.#indices.has(name)) this.links();
    return this.#indices.get(name);
  }
}

function blackhole(dst: Cidr) {
  return { dst, type: RTN.BLACKHOLE, priority: BLACKHOLE_PRIORITY } as const;
}

function gone(what: string): NetlinkError {
  return new NetlinkError(what, ERRNO.ENODEV, { message: 'the link is not there' });
}

/**
 * IPv6 refuses an onlink gateway that another device's route leads to (`net/ipv6/route.c`, ip6_route_check_nh_onlink).
 * Our gateways lie inside their route's destination, so a route that leads elsewhere cannot be replaced in one step.
 */
function isMisled(
  op: KernelOp,
  error: ErrnoError | undefined,
): op is { readonly op: 'put'; readonly entry: RouteEntry } {
  if (op.op !== 'put' || op.entry.type !== 'route' || op.entry.dst.family !== 'ipv6') return false;
  return op.entry.onlink && hasErrno(error, 'EINVAL');
}

function entryRequest(entry: Entry, link: number, op: 'put' | 'remove'): NetlinkRequest {
  const replace = { replace: true };
  switch (entry.type) {
    case 'neighbour': {
      const { ip, mac } = entry;
      return op === 'put' ? addNeighbour({ link, ip, mac }, replace) : deleteNeighbour({ link, ip });
    }
    case 'fdb': {
      const { mac, dst } = entry;
      return op === 'put' ? addFdb({ link, mac, dst }, replace) : deleteFdb({ link, mac, dst });
    }
    case 'route': {
      const { dst, gateway, onlink } = entry;
      return op === 'put'
        ? addRoute({ dst, gateway, link, onlink }, replace)
        : deleteRoute({ dst, gateway, link });
    }
  }
}

function vxlanSpec(
  link: VxlanLink,
  parent: number,
): { name: string; mtu: number; mac: VxlanLink['mac']; kind: NewLinkKind } {
  const { name, mtu, mac, vni, port, local, learning, gbp } = link;
  return { name, mtu, mac, kind: { type: 'vxlan', vni, port, local, parent, learning, gbp } };
}
