import { ERRNO, hasErrno } from '#base/errors.ts';
import { NETLINK, NetlinkConnection, type ConnectionOptions } from '#netlink/connection.ts';
import { NetlinkError } from '#netlink/message.ts';
import { GenericNetlink } from '../connection.ts';
import type { GenericCall } from '../message.ts';
import { getFeatures, readActive, setFeature, type FeatureChange } from './features.ts';

/** ETHTOOL_GENL_NAME */
const FAMILY = 'ethtool';

/** Offloads and other features of the links of one network namespace, over netlink (Linux 5.7), synchronous. */
export class Ethtool implements Disposable {
  readonly #generic: GenericNetlink;

  private constructor(generic: GenericNetlink) {
    this.#generic = generic;
  }

  /** Opens in the current network namespace; the socket stays in it. Throws EOPNOTSUPP where the kernel has no such thing. */
  static open(options: ConnectionOptions = {}): Ethtool {
    return Ethtool.over(NetlinkConnection.open(NETLINK.GENERIC, options));
  }

  /** Over a connection that is open already; it is closed when this fails. */
  static over(connection: NetlinkConnection): Ethtool {
    try {
      return new Ethtool(GenericNetlink.over(connection, FAMILY));
    } catch (error) {
      connection.close();
      if (hasErrno(error, 'ENOENT')) throw unsupported('open ethtool netlink', error);
      throw error;
    }
  }

  /** The names of the features that are on, as `ethtool -k` has them. Throws ENODEV without such a link. */
  features(link: string): ReadonlySet<string> {
    const call = getFeatures(link);
    return this.#explained(call, () => this.#generic.get(call, readActive));
  }

  /**
   * Turns one feature on or off. The kernel acknowledges, too, what it then does not do: whether it has is read back.
   * Throws EOPNOTSUPP when it has not.
   */
  setFeature(change: FeatureChange): void {
    const call = setFeature(change);
    this.#explained(call, () => this.#generic.execute(call));
    if (this.features(change.link).has(change.feature) === change.on) return;
    throw new NetlinkError(call.what, ERRNO.EOPNOTSUPP, {
      message: `the kernel keeps it ${change.on ? 'off' : 'on'}`,
    });
  }

  close(): void {
    this.#generic.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #explained<T>({ what }: GenericCall, run: () => T): T {
    try {
      return run();
    } catch (error) {
      // A family that does not have this command yet.
      if (hasErrno(error, 'EOPNOTSUPP')) throw unsupported(what, error);
      throw error;
    }
  }
}

function unsupported(what: string, cause: unknown): NetlinkError {
  const cure = 'use Linux 5.7 or newer with CONFIG_ETHTOOL_NETLINK, or leave the setting alone';
  return new NetlinkError(what, ERRNO.EOPNOTSUPP, {}, { cure, cause });
}
