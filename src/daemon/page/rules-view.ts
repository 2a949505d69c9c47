import type { RulesView } from '#page/model.ts';
import { compareRules } from '../inspect/difference.ts';
import { ruleReason } from '#traffic/rule-reason.ts';
import { ruleText } from '#nftables/text.ts';
import { flannelChains } from '#traffic/iptables-chain.ts';
import { flannelTables } from '#traffic/nftables-table.ts';
import { rulesFor, type FamilyRules, type TrafficMode } from '#traffic/rules.ts';
import type { OverlayHead } from '../inspect/overlay.ts';

/** The rules in the order in which a packet meets them, and what is otherwise in the kernel. */
export async function rulesView(
  { mode, set }: NonNullable<OverlayHead['rules']>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<RulesView> {
  const { found, unread } = await compareRules({ mode, set }, env);
  return {
    schema: 1,
    mode,
    families: set.families.map((family) => ({ family: family.family, chains: chainsOf(mode, family) })),
    differences: [...found, ...unread],
  };
}

type Chains = RulesView['families'][number]['chains'];

function chainsOf(mode: TrafficMode, family: FamilyRules): Chains {
  const texts = mode === 'nftables' ? nftTexts(family) : iptablesTexts(family);
  return (['postrouting', 'forward'] as const).flatMap((name) => {
    const list = family[name];
    if (list === undefined) return [];
    const rules = rulesFor(mode, list).map((rule, at) => ({
      text: texts[name][at] ?? '',
      why: ruleReason(rule, list),
    }));
    return [{ name, rules }];
  });
}

type Texts = Readonly<Record<'postrouting' | 'forward', readonly string[]>>;

function nftTexts(family: FamilyRules): Texts {
  const chains = flannelTables({ families: [family] }).flatMap((table) => table.chains);
  const of = (name: string) => chains.find((chain) => chain.name === name)?.rules.map(ruleText) ?? [];
  return { postrouting: of('postrtg'), forward: of('forward') };
}

function iptablesTexts(family: FamilyRules): Texts {
  const chains = flannelChains(family, { since162: true });
  const of = (table: string) =>
    chains
      .filter((chain) => chain.table === table)
      .flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`));
  return { postrouting: of('nat'), forward: of('filter') };
}
