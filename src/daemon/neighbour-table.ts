import type { Logger } from '#base/log.ts';
import { readSysctl } from '#host/sysctl.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import type { Cidr } from '#net/cidr.ts';
import type { PerFamily } from '#subnet/lease.ts';

/** Entries for what is no pod of this node: nodes of the underlay, routers, other hosts. */
const OTHERS = 256;
/** More pods than a node runs. */
const MOST_PODS = 1024;
/** Where only a /64 tells of their number, which it does not: twice what the kubelet allows when it is not told. */
const USUAL_PODS = 256;

/**
 * How many neighbours the kernel has to learn, per family, on a node with these pod subnets: of each pod one on the bridge, and one
 * in the pod, because the namespaces of a machine share one table. Peers do not count, their entries are permanent
 * (docs/neighbour-table.md).
 */
export function neighboursNeeded({ ipv4, ipv6 }: PerFamily<Cidr>): PerFamily<number> {
  const most = ipv4 === undefined ? USUAL_PODS : atMost(ipv4, MOST_PODS);
  return {
    ...(ipv4 !== undefined && { ipv4: 2 * most + OTHERS }),
    ...(ipv6 !== undefined && { ipv6: 2 * atMost(ipv6, most) + OTHERS }),
  };
}

function atMost(subnet: Cidr, most: number): number {
  return subnet.size > BigInt(most) ? most : Number(subnet.size);
}

export interface NeighbourTableOptions {
  /** The pod subnets of this node. */
  readonly subnets: PerFamily<Cidr>;
  readonly log: Logger;
  /** A sysctl by its path; undefined when it is not there: the limits are seen in the machine's first namespace alone. */
  readonly read?: (path: string) => string | undefined;
}

/** A table that is too small. */
export interface NeighbourShortage {
  /** The limit and its value. */
  readonly found: string;
  readonly needed: number;
  readonly cure: string;
}

/** Warns when the kernel's neighbour tables are too small for the pods of this node. Sets nothing: the limit is the machine's. */
export function checkNeighbourTable({ subnets, log, read = readSysctl }: NeighbourTableOptions): void {
  for (const shortage of neighbourShortages(subnets, read))
    log.warn('the neighbour table of the kernel may overflow when this node is full of pods', {
      ...shortage,
    });
}

/** The tables that are too small, one per family at most. */
export function neighbourShortages(
  subnets: PerFamily<Cidr>,
  read: (path: string) => string | undefined,
): NeighbourShortage[] {
  const wanted = neighboursNeeded(subnets);
  return FAMILIES.flatMap((family) => {
    const needed = wanted[family];
    const text = needed === undefined ? undefined : read(`net/${family}/neigh/default/gc_thresh3`);
    if (needed === undefined || text === undefined || !/^\d{1,10}$/.test(text)) return [];
    if (Number(text) >= needed) return [];
    return { found: `${key(family, 3)} is ${text}`, needed, cure: cureFor(family, needed) };
  });
}

/** The next power of two, and the two lower limits in the kernel's own proportions (128, 512, 1024). */
function cureFor(family: Family, needed: number): string {
  const limit = 2 ** Math.ceil(Math.log2(needed));
  const values = [limit / 8, limit / 2, limit];
  return `sysctl -w ${values.map((value, at) => `${key(family, at + 1)}=${value}`).join(' ')}`;
}

function key(family: Family, threshold: number): string {
  return `net.${family}.neigh.default.gc_thresh${threshold}`;
}
