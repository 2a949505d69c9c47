import { FlannelError, hasErrno } from '#base/errors.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { NETLINK } from '#netlink/connection.ts';
import { differences } from '#nftables/compare.ts';
import { Nftables } from '#nftables/connection.ts';
import { touchedTable } from '#nftables/notification.ts';
import type { Table, TableKey } from '#nftables/objects.ts';
import { NFNLGRP_NFTABLES } from '#nftables/wire.ts';
import { ensureEach } from './each-family.ts';
import { forwardDrops } from './forward-drops.ts';
import { FLANNEL_TABLES, flannelTables } from './nftables-table.ts';
import type { Ensured, Removed, TrafficBackend } from './port.ts';
import type { RuleSet } from './rules.ts';

/** Rules in two tables of our own, through one netlink connection that stays open. */
export class NftablesTraffic implements TrafficBackend {
  readonly mode = 'nftables';
  #nftables: Nftables | undefined;

  async ensure(rules: RuleSet, signal?: AbortSignal): Promise<Ensured> {
    return ensureEach(flannelTables(rules), (table) => this.#ensureTable(table), signal);
  }

  async compare(rules: RuleSet, signal?: AbortSignal): Promise<readonly string[]> {
    signal?.throwIfAborted();
    return flannelTables(rules).flatMap((table) => this.#compareTable(table));
  }

  async traces(signal?: AbortSignal): Promise<readonly string[]> {
    signal?.throwIfAborted();
    return Object.values(FLANNEL_TABLES)
      .filter((key) => this.#isThere(key))
      .map(title);
  }

  async clear(signal?: AbortSignal): Promise<Removed> {
    signal?.throwIfAborted();
    const removed: string[] = [];
    for (const key of Object.values(FLANNEL_TABLES)) {
      if (this.#deleteTable(key)) removed.push(title(key));
    }
    return { removed };
  }

  drops(rules: RuleSet): readonly string[] {
    try {
      return forwardDrops(this.#open(), rules, this.mode);
    } catch (error) {
      if (error instanceof FlannelError) return [];
      throw error;
    }
  }

  watch(onDirty: () => void): Disposable {
    return new NetlinkMonitor({
      protocol: NETLINK.NETFILTER,
      groups: [NFNLGRP_NFTABLES],
      onMessage: (message) => {
        const touched = touchedTable(message);
        const ours = Object.values(FLANNEL_TABLES);
        if (ours.some(({ family, name }) => touched?.family === family && touched.name === name)) onDirty();
      },
      onOverrun: onDirty,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#nftables?.close();
    this.#nftables = undefined;
  }

  #ensureTable(wanted: Table): string[] {
    return this.#guarded(wanted, () => {
      const found = this.#differences(wanted);
      if (found.length > 0) this.#open().replace(wanted);
      return found;
    });
  }

  #compareTable(wanted: Table): string[] {
    return this.#guarded(wanted, () => {
      // An empty table changes nothing, and a kernel without its family cannot have it.
      const harmless = wanted.chains.length === 0 && this.#open().read(wanted) === undefined;
      return harmless ? [] : this.#differences(wanted);
    });
  }

  #differences(wanted: Table): string[] {
    return differences(wanted, this.#open().read(wanted)).map((what) => `${title(wanted)}: ${what}`);
  }

  #guarded(wanted: Table, work: () => string[]): string[] {
    try {
      return work();
    } catch (error) {
      // A kernel without the family needs no empty table of it.
      if (wanted.chains.length === 0 && isUnsupported(error)) return [];
      throw explained(error);
    }
  }

  #deleteTable(key: TableKey): boolean {
    // Reading first: a delete that fails would load the module only to say that there is nothing.
    if (!this.#isThere(key)) return false;
    try {
      return this.#open().delete(key);
    } catch (error) {
      throw explained(error);
    }
  }

  #isThere(key: TableKey): boolean {
    try {
      return this.#open().read(key) !== undefined;
    } catch (error) {
      if (isUnsupported(error)) return false;
      throw explained(error);
    }
  }

  /** One connection for the life of the agent: closing it waits until the kernel has freed what was deleted. */
  #open(): Nftables {
    this.#nftables ??= Nftables.open();
    return this.#nftables;
  }
}

function title({ family, name }: TableKey): string {
  return `table ${family} ${name}`;
}

/** The kernel has no nf_tables, or not for this family (EINVAL: no such netfilter subsystem). */
function isUnsupported(error: unknown): boolean {
  return (['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT'] as const).some((name) =>
    hasErrno(error, name),
  );
}

function explained(error: unknown): unknown {
  if (hasErrno(error, 'EPERM')) {
    return new FlannelError('operator', 'the nftables ruleset may not be changed', {
      cure: 'run with CAP_NET_ADMIN in the namespace that owns the network',
      cause: error,
    });
  }
  // ENOENT here: an expression or chain type whose module is missing; tables and chains are made in the same transaction.
  if (isUnsupported(error) || hasErrno(error, 'ENOENT')) {
    return new FlannelError('operator', 'this kernel does not take the nftables rules', {
      cure: 'load nf_tables, nft_masq and nft_chain_nat, or set EnableNFTables to false',
      cause: error,
    });
  }
  return error;
}
