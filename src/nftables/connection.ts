import { hasErrno } from '#base/errors.ts';
import { NETLINK, NetlinkConnection, type ConnectionOptions } from '#netlink/connection.ts';
import { replaceTable, transactionRequests, type Change } from './change.ts';
import { getRules, readRuleHead } from './heads.ts';
import {
  getAllChains,
  getChains,
  getTable,
  getTables,
  readChain,
  readForwardDrop,
  readRule,
  readTable,
} from './message.ts';
import type { ForwardDrop, Rule, RuleHead, Table, TableKey } from './objects.ts';

/** Tries of a transaction whose answer the kernel could not give. */
const TRIES = 3;

/** A rule with the chain that it stands in. */
export interface PlacedRule {
  readonly chain: string;
  readonly rule: Rule;
}

/**
 * The ruleset of one network namespace over netlink, synchronous. Closing the socket waits for the kernel to free what
 * was deleted, by whomever (about 12 ms): a process that ends soon leaves that to its end.
 */
export class Nftables implements Disposable {
  readonly #connection: NetlinkConnection;

  private constructor(connection: NetlinkConnection) {
    this.#connection = connection;
  }

  /** Opens in the current network namespace; the socket stays in it. */
  static open(options: ConnectionOptions = {}): Nftables {
    return new Nftables(NetlinkConnection.open(NETLINK.NETFILTER, options));
  }

  /** Over a netfilter connection that others may use, too. */
  static over(connection: NetlinkConnection): Nftables {
    return new Nftables(connection);
  }

  /** `nft list tables` of one family. */
  tables(family: TableKey['family']): TableKey[] {
    return this.#connection.dump(getTables(family), (message) => {
      const table = readTable(message);
      return table === undefined ? undefined : { family: table.family, name: table.name };
    });
  }

  /** `nft list table`: the table with its chains and rules; undefined when there is none of that name. */
  read(key: TableKey): Table | undefined {
    const table = this.#table(key);
    if (table === undefined) return undefined;
    const heads = this.#connection.dump(getChains(key), (message) => readChain(key, message));
    const rules = new Map<string, Rule[]>(heads.map(({ name }) => [name, []]));
    for (const { chain, rule } of this.rules(key)) rules.get(chain)?.push(rule);
    return { ...table, chains: heads.map((head) => ({ ...head, rules: rules.get(head.name) ?? [] })) };
  }

  #table(key: TableKey): Omit<Table, 'chains'> | undefined {
    try {
      return this.#connection.get(getTable(key), readTable);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /**
   * The rules of a table, chain by chain; none when there is no such table. With `wanted` only those it is true of: what
   * the others do is not even decoded, and there may be thousands.
   */
  rules(key: TableKey, wanted?: (head: RuleHead) => boolean): PlacedRule[] {
    return this.#connection.dump(getRules(key), (message) => {
      if (wanted !== undefined) {
        const head = readRuleHead(key, message);
        if (head === undefined || !wanted(head)) return undefined;
      }
      return readRule(key, message);
    });
  }

  /** The chains of all tables that drop forwarded packets unless they accept them themselves. */
  forwardDrops(): ForwardDrop[] {
    return this.#connection.dump(getAllChains(), readForwardDrop);
  }

  /**
   * Makes all of `changes` in one transaction: they take effect together or not at all. Throws the kernel's first error,
   * which names its step. After ENOBUFS or EAGAIN it is unknown whether they were made: read before trying again.
   */
  apply(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const requests = transactionRequests(changes);
    const [error] = this.#connection.transaction(requests);
    if (error !== undefined) throw error;
  }

  /** Puts `table` in the place of whatever has its name, atomically: no packet sees a state in between. */
  replace(table: Table): void {
    const changes = replaceTable(table);
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.apply(changes);
        return;
      } catch (error) {
        const passing = hasErrno(error, 'ENOBUFS') || hasErrno(error, 'EAGAIN') || hasErrno(error, 'EINTR');
        if (attempt === TRIES || !passing) throw error;
      }
    }
  }

  /** Deletes a table with everything in it; false when there was none. */
  delete(key: TableKey): boolean {
    try {
      this.apply([{ do: 'delete table', table: key }]);
      return true;
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }

  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
