import { tryReadText } from '#ffi/file-system.ts';
import type { Family } from '#net/family.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import { withoutNfTables } from '#nftables/attempt.ts';
import { hasChain } from '#nftables/heads.ts';

/**
 * Whether one of the chains may be in table nat of iptables, without a program: its nft variant keeps them in table nat of
 * nf_tables, the legacy one lists its tables in /proc.
 */
export function mayHaveChain(
  connection: NetlinkConnection,
  family: Family,
  chains: readonly string[],
): boolean {
  const legacy = tryReadText(`/proc/thread-self/net/ip${family === 'ipv4' ? '' : '6'}_tables_names`);
  if (legacy?.split('\n').includes('nat') === true) return true;
  const table = { family: family === 'ipv4' ? 'ip' : 'ip6', name: 'nat' } as const;
  return withoutNfTables(false, () => chains.some((chain) => hasChain(connection, table, chain)));
}
