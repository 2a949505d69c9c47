import type { Cidr } from '#net/cidr.ts';
import { FAMILIES } from '#net/family.ts';
import { sameRule } from '#nftables/compare.ts';
import { Nftables } from '#nftables/connection.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { trySysctl } from '../bridge/sysctl.ts';
import { CniError, CODE } from '../error.ts';
import type { PortmapConfig } from './config.ts';
import { containerRules, frameChanges, removalChanges, tableOf } from './rules.ts';

export interface Forwarding {
  readonly config: PortmapConfig;
  readonly containerId: string;
  /** The pod's addresses; the first of each family is the target. */
  readonly addresses: readonly Cidr[];
}

/** The first address of each family: one port of the node leads to one place. */
function targets({ addresses }: Forwarding): readonly Cidr[] {
  return FAMILIES.flatMap((family) => addresses.filter((address) => address.family === family).slice(0, 1));
}

/** Adds the mappings; what an earlier ADD of this container left goes in the same transaction. */
export function addForwarding(forwarding: Forwarding): void {
  const { config, containerId } = forwarding;
  using nft = Nftables.open();
  for (const { ip, family } of targets(forwarding)) {
    const rules = containerRules(config, ip, containerId);
    if (rules.length === 0) continue;
    const table = tableOf(family);
    const live = nft.read(table);
    nft.apply([
      ...frameChanges(table, live),
      ...removalChanges(live, containerId),
      ...rules.map(([chain, entry]) => ({ do: 'add rule', table, chain, rule: entry }) as const),
    ]);
  }
  if (config.snat) allowLoopbackSource(forwarding);
}

/** A packet from 127.0.0.1 leaves by another link than lo only where `route_localnet` is on (ip-sysctl). */
function allowLoopbackSource(forwarding: Forwarding): void {
  using client = Rtnetlink.open();
  for (const { ip, family } of targets(forwarding)) {
    const index = family === 'ipv4' ? client.routeTo(ip).link : undefined;
    const name = index === undefined ? undefined : client.link(index)?.name;
    if (name !== undefined) trySysctl(`ipv4/conf/${name}/route_localnet`, '1');
  }
}

/** Removes everything of the container, whatever it was mapped to. */
export function removeForwarding(containerId: string): void {
  using nft = Nftables.open();
  for (const family of FAMILIES) nft.apply(removalChanges(nft.read(tableOf(family)), containerId));
}

/** Throws CniError 999 when a rule is missing. */
export function checkForwarding(forwarding: Forwarding): void {
  using nft = Nftables.open();
  for (const { ip, family } of targets(forwarding)) {
    const live = nft.read(tableOf(family));
    for (const [chain, wanted] of containerRules(forwarding.config, ip, forwarding.containerId)) {
      const rules = live?.chains.find(({ name }) => name === chain)?.rules ?? [];
      if (rules.some((entry) => sameRule(entry, wanted))) continue;
      throw new CniError(
        CODE.INTERNAL,
        `CHECK: a rule for ${ip} is missing in table cni_hostport chain ${chain}`,
      );
    }
  }
}
