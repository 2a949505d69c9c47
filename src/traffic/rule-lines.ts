import { ruleText } from '#nftables/text.ts';
import { flannelChains } from './iptables-chain.ts';
import { flannelTables } from './nftables-table.ts';
import type { RuleSet, TrafficMode } from './rules.ts';

/** The rules as `nft list` or `iptables-save` print them, each behind its place, in the order of evaluation. */
export function ruleLines(mode: TrafficMode, rules: RuleSet): string[] {
  if (mode === 'iptables') {
    return rules.families.flatMap((family) =>
      flannelChains(family, { since162: true }).flatMap(({ table, name, rules: lines }) =>
        lines.map(
          (line) => `${family.family === 'ipv4' ? 'iptables' : 'ip6tables'} -t ${table} -A ${name} ${line}`,
        ),
      ),
    );
  }
  return flannelTables(rules).flatMap(({ family, name, chains }) =>
    chains.flatMap((chain) => chain.rules.map((rule) => `${family} ${name} ${chain.name} ${ruleText(rule)}`)),
  );
}
