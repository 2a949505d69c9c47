import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';

/** Addresses that host-local hands out in a subnet: without network, gateway and, in IPv4, broadcast address. */
export function capacity(subnet: Cidr): number {
  return Math.max(0, Number(subnet.size) - (subnet.family === 'ipv4' ? 3 : 2));
}

/**
 * How many addresses of each subnet are reserved: host-local keeps a file per address, named after it, in a folder per
 * network. Only names are read. Undefined when `dir` cannot be seen.
 */
export function reserved(dir: string, subnets: readonly Cidr[]): number[] | undefined {
  if (dir === '') return undefined;
  const counts = subnets.map(() => 0);
  try {
    for (const network of readdirSync(dir, { withFileTypes: true })) {
      if (!network.isDirectory()) continue;
      for (const name of readdirSync(join(dir, network.name))) {
        const ip = Ip.tryParse(name);
        if (ip === undefined) continue;
        const at = subnets.findIndex((subnet) => subnet.contains(ip));
        if (at >= 0) counts[at] = (counts[at] ?? 0) + 1;
      }
    }
  } catch {
    return undefined;
  }
  return counts;
}
