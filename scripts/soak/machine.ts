import { readFileSync } from 'node:fs';
import { epoch } from './prober/protocol.ts';

/** A loss so long before or behind a trouble of the machine may come from it, ms. */
const NEAR = 1000;
/** Troubles are kept this long, ms. */
const KEPT = 60_000;

/**
 * What the kernel throws away for all namespaces of the machine together, whoever fills it: the receive queues of the
 * processors, and the neighbour tables. Other programs on the machine can cost the soak packets that way.
 */
export class Machine {
  #troubles: { readonly from: number; readonly to: number }[] = [];
  #looked = epoch();
  #dropped = droppedPackets();

  /** Looks at the counters; call it several times a second. */
  look(): void {
    const now = epoch();
    const dropped = droppedPackets();
    if (dropped !== this.#dropped) this.#troubles.push({ from: this.#looked, to: now });
    this.#troubles = this.#troubles.filter(({ to }) => to > now - KEPT);
    this.#dropped = dropped;
    this.#looked = now;
  }

  /** True when the kernel threw packets away at about this time (ms since the epoch). */
  hadTrouble(first: number, last: number): boolean {
    return this.#troubles.some(({ from, to }) => first >= from - NEAR && last <= to + NEAR);
  }
}

/** The sum of all such counters. */
function droppedPackets(): number {
  // Hexadecimal columns; the second is `dropped` (`net/core/net-procfs.c`, softnet_seq_show).
  const queues = column('/proc/net/softnet_stat', 1, 0);
  // The last is `table_fulls` (`net/core/neighbour.c`, neigh_stat_seq_show); only the first namespace shows it.
  const tables = ['arp_cache', 'ndisc_cache'].map((name) => column(`/proc/1/net/stat/${name}`, 12, 1));
  return queues + tables.reduce((sum, each) => sum + each, 0);
}

/** The sum of a column of hexadecimal numbers; 0 when there is no such file. */
function column(path: string, at: number, headLines: number): number {
  try {
    const lines = readFileSync(path, 'latin1').trimEnd().split('\n').slice(headLines);
    return lines.reduce((sum, line) => sum + Number.parseInt(line.trim().split(/\s+/)[at] ?? '0', 16), 0);
  } catch {
    return 0;
  }
}
