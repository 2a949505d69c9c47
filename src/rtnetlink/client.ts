import { ERRNO, FlannelError, hasErrno } from '#base/errors.ts';
import { withNetns, type Netns } from '#ffi/netns.ts';
import type { Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Mac } from '#net/mac.ts';
import { NETLINK, NetlinkConnection } from '#netlink/connection.ts';
import { NetlinkError, type NetlinkMessage, type NetlinkRequest } from '#netlink/message.ts';
import {
  addAddress,
  deleteAddress,
  dumpAddresses,
  readAddress,
  type Address,
  type AddressSpec,
} from './address.ts';
import { NTF } from './constants.ts';
import { addFdb, deleteFdb, dumpFdb, getFdb, readFdbEntry, type FdbEntry, type FdbSpec } from './fdb.ts';
import {
  afterCreation,
  deleteLink,
  dumpLinks,
  getLink,
  newLink,
  readLink,
  setBridgePort,
  setLink,
  type BridgePort,
  type Link,
  type LinkChange,
  type LinkSpec,
} from './link.ts';
import { dumpPortVlans, readPortVlans, type PortVlan } from './link/bridge-vlan.ts';
import {
  addNeighbour,
  deleteNeighbour,
  dumpNeighbours,
  getNeighbour,
  readNeighbour,
  type Neighbour,
  type NeighbourSpec,
} from './neighbour.ts';
import { readRoute, type Route } from './route.ts';
import {
  addRoute,
  deleteRoute,
  dumpRoutes,
  lookUpRoute,
  type RouteFilter,
  type RouteQuestion,
  type RouteSpec,
} from './route/request.ts';

/**
 * Links, addresses, routes, neighbours and FDB of one network namespace. All calls are synchronous; the kernel's "no"
 * is thrown as a NetlinkError. The socket stays in the namespace that it was opened in.
 *
 * Filters are applied by the kernel and once more here: a kernel before 4.20 answers with everything, and one without
 * IPv6 answers a question about it with the entries of the other families.
 */
export class Rtnetlink implements Disposable {
  readonly #connection: NetlinkConnection;

  private constructor(connection: NetlinkConnection) {
    this.#connection = connection;
  }

  /** For the network namespace of this thread. */
  static open(): Rtnetlink {
    return new Rtnetlink(NetlinkConnection.open(NETLINK.ROUTE));
  }

  /** For another namespace; this thread is back in its own afterwards. */
  static openIn(netns: Netns): Rtnetlink {
    return withNetns(netns, () => Rtnetlink.open());
  }

  links(): Link[] {
    return this.#connection.dump(dumpLinks(), readLink);
  }

  /** By index or name; undefined when it is not there. */
  link(ref: number | string): Link | undefined {
    try {
      return this.#connection.get(getLink(ref), readLink);
    } catch (error) {
      if (hasErrno(error, 'ENODEV')) return undefined;
      throw error;
    }
  }

  /** EEXIST when the name is taken. When it throws, nothing has been made. */
  createLink(spec: LinkSpec): void {
    this.#connection.execute(newLink(spec));
    const { kind, name, netns } = spec;
    try {
      this.#finish(name, netns, afterCreation(spec));
      if (kind.type === 'veth' && kind.peer.up === true)
        this.#finish(kind.peer.name, kind.peer.netns ?? netns, [{ up: true }]);
    } catch (error) {
      using elsewhere = netns && Rtnetlink.openIn(netns);
      (elsewhere ?? this).deleteLink(name);
      throw error;
    }
  }

  /** Changes a link, found by its name in `netns`, step by step. */
  #finish(name: string, netns: Netns | undefined, changes: readonly LinkChange[]): void {
    if (changes.length === 0) return;
    using elsewhere = netns && Rtnetlink.openIn(netns);
    const client = elsewhere ?? this;
    const link = client.link(name);
    if (link === undefined) throw new NetlinkError(`set up link ${name}`, ERRNO.ENODEV);
    for (const change of changes) {
      try {
        client.setLink(link.index, change);
      } catch (error) {
        // A link without IPv6 (MTU below 1280, IPv6 off) makes no link-local address anyway.
        if (change.addrGenMode !== 'none' || !hasErrno(error, 'EAFNOSUPPORT')) throw error;
      }
    }
  }

  setLink(index: number, change: LinkChange): void {
    this.#connection.execute(setLink(index, change));
  }

  setBridgePort(index: number, port: BridgePort): void {
    this.#connection.execute(setBridgePort(index, port));
  }

  /** The VLANs of a bridge port; empty when it has none or the kernel does not filter VLANs. */
  portVlans(link: number): readonly PortVlan[] {
    const ports = this.#connection.dump(dumpPortVlans(), readPortVlans);
    return ports.filter((port) => port.link === link).flatMap(({ vlans }) => vlans);
  }

  deleteLink(ref: number | string): void {
    this.#connection.execute(deleteLink(ref));
  }

  /** ENODEV when the link of the filter is not there. */
  addresses(filter: { readonly link?: number; readonly family?: Family } = {}): Address[] {
    return this.#connection.dump(dumpAddresses(filter), (message) => {
      const address = readAddress(message);
      const family = filter.family ?? address?.cidr.family;
      return address !== undefined && address.cidr.family === family && isWanted(filter.link, address.link)
        ? address
        : undefined;
    });
  }

  addAddress(spec: AddressSpec): void {
    this.#connection.execute(addAddress(spec));
  }

  replaceAddress(spec: AddressSpec): void {
    this.#connection.execute(addAddress(spec, { replace: true }));
  }

  deleteAddress(spec: Pick<AddressSpec, 'link' | 'cidr' | 'peer'>): void {
    this.#connection.execute(deleteAddress(spec));
  }

  /** Without cache entries. Empty when the table does not exist; ENODEV when the link does not. */
  routes(filter: RouteFilter): Route[] {
    try {
      return this.#connection.dump(dumpRoutes(filter), (message) => {
        const route = readRoute(message);
        if (route === undefined || route.cloned || route.family !== filter.family) return undefined;
        const { table, link, protocol } = filter;
        const wanted =
          isWanted(table, route.table) && isWanted(protocol, route.protocol) && usesLink(route, link);
        return wanted ? route : undefined;
      });
    } catch (error) {
      if (filter.table !== undefined && hasErrno(error, 'ENOENT')) return [];
      throw error;
    }
  }

  addRoute(spec: RouteSpec): void {
    this.#connection.execute(addRoute(spec));
  }

  replaceRoute(spec: RouteSpec): void {
    this.#connection.execute(addRoute(spec, { replace: true }));
  }

  deleteRoute(spec: RouteSpec): void {
    this.#connection.execute(deleteRoute(spec));
  }

  /** The route that a packet to `ip` would take; ENETUNREACH (or EHOSTUNREACH) when there is none. */
  routeTo(ip: Ip, options: RouteQuestion = {}): Route {
    const request = lookUpRoute(ip, options);
    const route = this.#connection.get(request, readRoute);
    if (route === undefined) throw new FlannelError('kernel', `${request.what}: not an IP route`);
    return route;
  }

  neighbours(filter: { readonly link?: number; readonly family: Family }): Neighbour[] {
    return this.#connection.dump(dumpNeighbours(filter), (message) => {
      const neighbour = readNeighbour(message);
      if (neighbour === undefined || neighbour.ip.family !== filter.family) return undefined;
      return isWanted(filter.link, neighbour.link) ? neighbour : undefined;
    });
  }

  /** One entry, without a look at the others; undefined when it is not there. */
  neighbour(link: number, ip: Ip): Neighbour | undefined {
    return this.#find(getNeighbour({ link, ip }), readNeighbour, () =>
      this.neighbours({ link, family: ip.family }).find((entry) => entry.ip.equals(ip)),
    );
  }

  addNeighbour(spec: NeighbourSpec): void {
    this.#connection.execute(addNeighbour(spec));
  }

  replaceNeighbour(spec: NeighbourSpec): void {
    this.#connection.execute(addNeighbour(spec, { replace: true }));
  }

  deleteNeighbour(spec: Pick<Neighbour, 'link' | 'ip'>): void {
    this.#connection.execute(deleteNeighbour(spec));
  }

  /** The link's own entries (NTF_SELF), not those that its bridge keeps. */
  fdb(filter: { readonly link: number }): FdbEntry[] {
    return this.#connection.dump(dumpFdb(filter), (message) => {
      const entry = readFdbEntry(message);
      return entry?.link === filter.link && (entry.flags & NTF.SELF) !== 0 ? entry : undefined;
    });
  }

  /** One entry of the link's own, without a look at the others; undefined when it is not there. */
  fdbEntry(link: number, mac: Mac): FdbEntry | undefined {
    return this.#find(getFdb({ link, mac }), readFdbEntry, () =>
      this.fdb({ link }).find((entry) => entry.mac.equals(mac)),
    );
  }

  /** `among`: for kernels that give all entries or none. */
  #find<T>(
    request: NetlinkRequest,
    read: (message: NetlinkMessage) => T | undefined,
    among: () => T | undefined,
  ): T | undefined {
    try {
      return this.#connection.get(request, read);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      if (hasErrno(error, 'EOPNOTSUPP')) return among();
      throw error;
    }
  }

  /** What a bridge has learned and been told: each entry's `link` is the port. */
  bridgeFdb(bridge: number): FdbEntry[] {
    return this.#connection.dump(dumpFdb({ link: 0 }), (message) => {
      const entry = readFdbEntry(message);
      return entry?.master === bridge && (entry.flags & NTF.SELF) === 0 ? entry : undefined;
    });
  }

  addFdb(spec: FdbSpec): void {
    this.#connection.execute(addFdb(spec));
  }

  replaceFdb(spec: FdbSpec): void {
    this.#connection.execute(addFdb(spec, { replace: true }));
  }

  appendFdb(spec: FdbSpec): void {
    this.#connection.execute(addFdb(spec, { append: true }));
  }

  deleteFdb(spec: Omit<FdbSpec, 'state'>): void {
    this.#connection.execute(deleteFdb(spec));
  }

  /**
   * Many requests at once (`#rtnetlink/requests.ts`). The result has one place per request: undefined when done, else
   * the kernel's error; a failed request does not stop the others.
   */
  apply(requests: readonly NetlinkRequest[]): (NetlinkError | undefined)[] {
    return this.#connection.batch(requests);
  }

  /**
   * As `apply`, and then reads a link, in the same send: it is seen as the requests have left it. The last place of
   * `errors` is that of the reading.
   */
  applyAndRead(
    requests: readonly NetlinkRequest[],
    ref: number | string,
  ): { readonly errors: readonly (NetlinkError | undefined)[]; readonly link: Link | undefined } {
    const { errors, answer } = this.#connection.batchAndGet(requests, getLink(ref), readLink);
    return { errors, link: answer };
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function isWanted(filter: number | undefined, value: number): boolean {
  return filter === undefined || filter === value;
}

function usesLink(route: Route, link: number | undefined): boolean {
  if (link === undefined || route.link === link) return true;
  return route.multipath?.some((hop) => hop.link === link) === true;
}
