import { FAMILIES } from '#net/family.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import { withoutNfTables } from '#nftables/attempt.ts';
import { ruleHeads } from '#nftables/heads.ts';
import { mayHaveChain } from '../nat-chains.ts';
import { openNetfilter } from '../netfilter.ts';
import { withNftLock } from '../nft-lock.ts';
import type { Host } from '../plugin.ts';
import type { Owner } from './forwarding.ts';
import { commentOf, containerChain, oldSnatChain, tableOf } from './names.ts';

/**
 * A connection where a container may have mappings, in either backend; undefined where it has none, as most. DEL of all of
 * them asks: this loads a fraction of what it takes to remove some.
 */
export function openWhereMapped(host: Host, owner: Owner): NetlinkConnection | undefined {
  const connection = openNetfilter(host);
  return mayBeMapped(connection, owner) ? connection : undefined;
}

function mayBeMapped(connection: NetlinkConnection, owner: Owner): boolean {
  const own = commentOf(owner);
  const chains = [containerChain(owner), oldSnatChain(owner)];
  return FAMILIES.some(
    (family) =>
      withNftLock(() =>
        withoutNfTables([], () => ruleHeads(connection, tableOf(family), ({ comment }) => comment === own)),
      ).length > 0 || mayHaveChain(connection, family, chains),
  );
}
