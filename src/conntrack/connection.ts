import { hasErrno } from '#base/errors.ts';
import { NETLINK, NetlinkConnection, type ConnectionOptions } from '#netlink/connection.ts';
import {
  deleteEntry,
  IPPROTO,
  listAll,
  listEntries,
  readEntry,
  type ConntrackEntry,
  type ConntrackQuery,
} from './entry.ts';

/** The connection tracking table of one network namespace over ctnetlink, synchronous. */
export class Conntrack implements Disposable {
  readonly #connection: NetlinkConnection;

  private constructor(connection: NetlinkConnection) {
    this.#connection = connection;
  }

  /** Opens in the current network namespace; the socket stays in it. */
  static open(options: ConnectionOptions = {}): Conntrack {
    return new Conntrack(NetlinkConnection.open(NETLINK.NETFILTER, options));
  }

  /** Over a netfilter connection that others may use, too. */
  static over(connection: NetlinkConnection): Conntrack {
    return new Conntrack(connection);
  }

  /** All entries of all zones. The kernel goes through its whole table for each list, whatever is asked for. */
  all(): ConntrackEntry[] {
    return this.#connection.dump(listAll(), readEntry);
  }

  /** The entries of all zones that agree with `query`. Throws EINVAL where the kernel has no nf_conntrack_netlink. */
  list(query: ConntrackQuery): ConntrackEntry[] {
    return this.#connection.dump(listEntries(query), (message) => {
      const entry = readEntry(message);
      return entry !== undefined && agrees(entry, query) ? entry : undefined;
    });
  }

  /** Deletes entries and says how many there still were. Throws the kernel's first error. */
  delete(entries: readonly ConntrackEntry[]): number {
    if (entries.length === 0) return 0;
    const errors = this.#connection.batch(entries.map(deleteEntry));
    // One that has run out meanwhile is as good as deleted.
    const failure = errors.find((error) => error !== undefined && !hasErrno(error, 'ENOENT'));
    if (failure !== undefined) throw failure;
    return errors.filter((error) => error === undefined).length;
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function agrees({ family, original }: ConntrackEntry, query: ConntrackQuery): boolean {
  const { protocol, destinationPort } = query;
  if (family !== query.family || original.protocol !== IPPROTO[protocol]) return false;
  return destinationPort === undefined || original.destinationPort === destinationPort;
}
