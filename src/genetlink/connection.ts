import type { NetlinkConnection } from '#netlink/connection.ts';
import { getFamily, readFamilyId } from './control.ts';
import { genericRequest, readGeneric, type GenericCall, type GenericMessage } from './message.ts';

/** One generic netlink family in the network namespace of a connection, synchronous. */
export class GenericNetlink implements Disposable {
  readonly #connection: NetlinkConnection;
  readonly #family: number;

  private constructor(connection: NetlinkConnection, family: number) {
    this.#connection = connection;
    this.#family = family;
  }

  /**
   * Over an open connection (NETLINK.GENERIC), which it closes when it is closed. The kernel loads the family's module if it
   * can. Throws ENOENT when this kernel has no such family.
   */
  static over(connection: NetlinkConnection, name: string): GenericNetlink {
    return new GenericNetlink(connection, connection.get(getFamily(name), readFamilyId));
  }

  /** Sends a call that has an answer and decodes it. Throws the kernel's error. */
  get<T>(call: GenericCall, decode: (message: GenericMessage) => T): T {
    return this.#connection.get(genericRequest(this.#family, call), (message) =>
      decode(readGeneric(message)),
    );
  }

  /** Sends a call and waits for its acknowledgement. Throws the kernel's error. */
  execute(call: GenericCall): void {
    this.#connection.execute(genericRequest(this.#family, call));
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
