import type { Entry } from '#host/plan.ts';

/** What the entries of a peer say of it, each once. */
export interface PeerFacts {
  /** Pod subnets that have a route. */
  readonly subnets: readonly string[];
  /** Where its packets are sent to. */
  readonly addresses: readonly string[];
  readonly macs: readonly string[];
}

export function factsOf(entries: readonly Entry[]): PeerFacts {
  const subnets = new Set<string>();
  const addresses = new Set<string>();
  const macs = new Set<string>();
  for (const entry of entries) {
    if (entry.type === 'neighbour') macs.add(`${entry.mac}`);
    else if (entry.type === 'fdb') addresses.add(`${entry.dst}`);
    else {
      subnets.add(`${entry.dst}`);
      // Without a tunnel the gateway is the peer itself.
      if (!entry.onlink) addresses.add(`${entry.gateway}`);
    }
  }
  return { subnets: [...subnets], addresses: [...addresses], macs: [...macs] };
}
