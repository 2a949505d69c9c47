import type { Nftables } from '#nftables/connection.ts';
import type { RuleSet, TrafficMode } from './rules.ts';

/**
 * Chains of other programs that drop forwarded packets of pods unless they accept them themselves: our own accept rules stand in
 * another table and do not count there. Docker's chain FORWARD is one when we write to nftables; a firewall's in nftables is one
 * when we write to iptables. Says them as `chain FORWARD of table ip filter`. What the legacy variant of iptables has is not seen.
 */
export function forwardDrops(
  nftables: Pick<Nftables, 'forwardDrops'>,
  rules: RuleSet,
  mode: TrafficMode,
): string[] {
  const families = rules.families.filter(({ forward }) => forward !== undefined).map(({ family }) => family);
  if (families.length === 0) return [];
  return nftables
    .forwardDrops()
    .filter(({ family }) => family === 'inet' || families.includes(family === 'ip' ? 'ipv4' : 'ipv6'))
    .filter(({ family, table, chain }) => {
      // There our jump stands: what it accepts is accepted.
      return mode !== 'iptables' || family === 'inet' || table !== 'filter' || chain !== 'FORWARD';
    })
    .map(({ family, table, chain }) => `chain ${chain} of table ${family} ${table}`);
}
