import { ERRNO, ErrnoError, type ErrnoName } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Mac } from '#net/mac.ts';
import type {
  HostAddress,
  HostFdb,
  HostLink,
  HostNeighbour,
  HostRoute,
  KernelOp,
  KernelPort,
} from './kernel.ts';
import type { Entry, VxlanLink } from './plan.ts';

/** A kernel in memory: holds state, answers with real errnos, takes a link's entries along when the link goes. */
export class FakeKernel implements KernelPort {
  #next = 1;
  readonly #links = new Map<string, HostLink>();
  #addresses: HostAddress[] = [];
  #neighbours: HostNeighbour[] = [];
  #fdb: HostFdb[] = [];
  #routes: HostRoute[] = [];
  readonly #blackholes = new Map<string, Cidr>();
  /** Links without it; the kernel turns it on for every new VXLAN device. */
  readonly #noTxChecksum = new Set<string>();
  readonly #settled = new Set<string>();
  /** Links whose settings were changed, in order. */
  readonly settled: string[] = [];
  /** Every change asked for, in order. */
  readonly log: KernelOp[] = [];

  /** Answers a change in the kernel's place: an errno, or undefined to let it happen. */
  refuse: ((op: KernelOp) => ErrnoName | undefined) | undefined;
  /** The next read of a link's entries gets this answer, once. */
  failRead: ErrnoName | undefined;

  /** A device that is simply there, such as `eth0`. */
  addDevice(name: string, mtu = 1500): HostLink {
    const index = this.#next++;
    const mac = Mac.fromBytes(Uint8Array.of(2, 0, 0, 0, 0, index));
    const link: HostLink = { index, name, kind: undefined, mtu, mac, up: true, vxlan: undefined };
    this.#links.set(name, link);
    return link;
  }

  /** Somebody else's change of a link. */
  changeLink(name: string, change: Partial<HostLink>): void {
    const link = this.#links.get(name);
    if (link === undefined) throw new ErrnoError(`change ${name}`, ERRNO.ENODEV);
    this.#links.delete(name);
    const changed = { ...link, ...change };
    this.#links.set(changed.name, changed);
  }

  /** Somebody else's route. */
  addRoute(route: HostRoute): void {
    this.#routes.push(route);
  }

  links(): HostLink[] {
    return [...this.#links.values()];
  }

  txChecksum(name: string): boolean {
    this.#mayFail('read the features');
    if (!this.#links.has(name)) throw new ErrnoError('read the features', ERRNO.ENODEV);
    return !this.#noTxChecksum.has(name);
  }

  addresses(link: number): HostAddress[] {
    this.#mayFail('read addresses');
    return this.#addresses.filter((entry) => entry.link === link);
  }

  neighbours(link: number, family: Family): HostNeighbour[] {
    this.#mayFail('read neighbours');
    return this.#neighbours.filter((entry) => entry.link === link && entry.ip.family === family);
  }

  fdb(link: number): HostFdb[] {
    return this.#fdb.filter((entry) => entry.link === link);
  }

  routes(family: Family, link?: number): HostRoute[] {
    return this.#routes.filter(
      (route) =>
        (route.dst ?? route.gateway)?.family === family && (link === undefined || route.link === link),
    );
  }

  settleLink(name: string): readonly string[] {
    if (this.#settled.has(name) || !this.#links.has(name)) return [];
    this.#settled.add(name);
    this.settled.push(name);
    return ['accept_ra'];
  }

  /** Somebody changes what `settleLink` set. */
  unsettle(name: string): void {
    this.#settled.delete(name);
  }

  blackholes(family: Family): Cidr[] {
    return [...this.#blackholes.values()].filter((dst) => dst.family === family);
  }

  apply(ops: readonly KernelOp[]): (ErrnoError | undefined)[] {
    return ops.map((op) => {
      this.log.push(op);
      const errno = this.refuse?.(op) ?? this.#apply(op);
      return errno === undefined ? undefined : new ErrnoError(op.op, ERRNO[errno]);
    });
  }

  #apply(op: KernelOp): ErrnoName | undefined {
    switch (op.op) {
      case 'create-vxlan':
        return this.#createVxlan(op.link);
      case 'delete-link':
        return this.#deleteLink(op.name);
      case 'set-link': {
        const link = this.#links.get(op.name);
        if (link === undefined) return 'ENODEV';
        const { mtu = link.mtu, mac = link.mac, up = link.up } = op;
        const master = op.leave === true ? undefined : link.master;
        this.#links.set(op.name, { ...link, mtu, mac, up, master });
        return undefined;
      }
      case 'set-tx-checksum':
        if (!this.#links.has(op.name)) return 'ENODEV';
        if (op.on) this.#noTxChecksum.delete(op.name);
        else this.#noTxChecksum.add(op.name);
        return undefined;
      case 'add-address':
        return this.#addAddress(op.link, op.cidr);
      case 'delete-address': {
        const index = this.#index(op.link);
        if (index === undefined) return 'ENODEV';
        const kept = this.#addresses.filter((entry) => entry.link !== index || !entry.cidr.equals(op.cidr));
        if (kept.length === this.#addresses.length) return 'EADDRNOTAVAIL';
        this.#addresses = kept;
        return undefined;
      }
      case 'add-blackhole':
        this.#blackholes.set(op.dst.toString(), op.dst);
        return undefined;
      case 'delete-blackhole':
        return this.#blackholes.delete(op.dst.toString()) ? undefined : 'ESRCH';
      case 'evict': {
        const kept = this.#routes.filter((route) => route !== op.route);
        if (kept.length === this.#routes.length) return 'ESRCH';
        this.#routes = kept;
        return undefined;
      }
      case 'put':
        return this.#put(op.entry);
      case 'remove':
        return this.#remove(op.entry);
    }
  }

  #createVxlan(link: VxlanLink): ErrnoName | undefined {
    if (this.#links.has(link.name)) return 'EEXIST';
    const parent = this.#index(link.parent);
    if (parent === undefined) return 'ENODEV';
    const { vni, port, local, learning, gbp } = link;
    const taken = this.links().some(
      ({ vxlan }) => vxlan?.vni === vni && vxlan.port === port && vxlan.local?.family === local.family,
    );
    if (taken) return 'EEXIST';
    this.#links.set(link.name, {
      index: this.#next++,
      name: link.name,
      kind: 'vxlan',
      mtu: link.mtu,
      mac: link.mac,
      up: false,
      vxlan: { vni, port, local, parent, learning, gbp },
    });
    return undefined;
  }

  #deleteLink(name: string): ErrnoName | undefined {
    const index = this.#index(name);
    if (index === undefined) return 'ENODEV';
    this.#links.delete(name);
    this.#noTxChecksum.delete(name);
    this.#settled.delete(name);
    this.#addresses = this.#addresses.filter((entry) => entry.link !== index);
    this.#neighbours = this.#neighbours.filter((entry) => entry.link !== index);
    this.#fdb = this.#fdb.filter((entry) => entry.link !== index);
    this.#routes = this.#routes.filter((route) => route.link !== index);
    return undefined;
  }

  #addAddress(name: string, cidr: HostAddress['cidr']): ErrnoName | undefined {
    const link = this.#index(name);
    if (link === undefined) return 'ENODEV';
    if (this.#addresses.some((entry) => entry.link === link && entry.cidr.equals(cidr))) return 'EEXIST';
    this.#addresses.push({ link, cidr, scope: 0 });
    return undefined;
  }

  #put(entry: Entry): ErrnoName | undefined {
    const link = this.#index(entry.link);
    if (link === undefined) return 'ENODEV';
    switch (entry.type) {
      case 'neighbour':
        this.#neighbours = this.#neighbours.filter(
          (other) => other.link !== link || !other.ip.equals(entry.ip),
        );
        this.#neighbours.push({ link, ip: entry.ip, mac: entry.mac, permanent: true });
        return undefined;
      case 'fdb':
        this.#fdb = this.#fdb.filter((other) => other.link !== link || !other.mac.equals(entry.mac));
        this.#fdb.push({ link, mac: entry.mac, dst: entry.dst, permanent: true });
        return undefined;
      case 'route': {
        const up = [...this.#links.values()].find((other) => other.index === link)?.up ?? false;
        if (!up) return 'ENETDOWN';
        this.#routes = this.#routes.filter(
          (other) => other.dst === undefined || !other.dst.equals(entry.dst),
        );
        const { dst, gateway, onlink } = entry;
        this.#routes.push({ dst, gateway, link, onlink, byKernel: false, priority: undefined });
        return undefined;
      }
    }
  }

  #remove(entry: Entry): ErrnoName | undefined {
    const link = this.#index(entry.link);
    if (link === undefined) return 'ENODEV';
    switch (entry.type) {
      case 'neighbour': {
        const kept = this.#neighbours.filter((other) => other.link !== link || !other.ip.equals(entry.ip));
        if (kept.length === this.#neighbours.length) return 'ENOENT';
        this.#neighbours = kept;
        return undefined;
      }
      case 'fdb': {
        const there = this.#fdb.find((other) => other.link === link && other.mac.equals(entry.mac));
        if (there === undefined) return 'ENOENT';
        // As the kernel (`drivers/net/vxlan`, __vxlan_fdb_delete): another destination is left there without a word.
        if (there.dst?.equals(entry.dst) === true) this.#fdb = this.#fdb.filter((other) => other !== there);
        return undefined;
      }
      case 'route': {
        const kept = this.#routes.filter(
          (other) =>
            other.link !== link ||
            other.dst?.equals(entry.dst) !== true ||
            other.gateway?.equals(entry.gateway) !== true,
        );
        if (kept.length === this.#routes.length) return 'ESRCH';
        this.#routes = kept;
        return undefined;
      }
    }
  }

  #mayFail(call: string): void {
    const { failRead } = this;
    this.failRead = undefined;
    if (failRead !== undefined) throw new ErrnoError(call, ERRNO[failRead]);
  }

  #index(name: string): number | undefined {
    return this.#links.get(name)?.index;
  }
}
