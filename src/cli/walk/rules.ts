import { judge, type LiveChain, type Verdict } from '#traffic/live-chains.ts';
import { ruleText } from '#nftables/text.ts';
import type { Rule } from '#nftables/objects.ts';
import { forwardDangers } from '../netfilter/forward-walk.ts';
import type { WalkContext } from './context.ts';
import { dies, type End } from './trail.ts';

/** What our chain says to the packet, one note per chain and mode; and what others may do. */
export function forwardNotes(context: WalkContext): string[] {
  const notes = verdicts(context, 'forward').map((verdict) => {
    const { chain, action } = verdict;
    const place = placeOf(verdict);
    if (!chain.reached) return `${place}: no packet comes here, nothing leads to it`;
    return action === undefined ? `${place}: no rule matches` : `${place}: ${action}ed${ruleOf(verdict)}`;
  });
  if (notes.length === 0) notes.push('no forward rule of flanneld: what others forbid is forbidden');
  return notes;
}

/** What the firewalls of this node do to a forwarded packet: notes, and its end where one drops it for certain. */
export function firewall(
  { tables, source, destination }: WalkContext,
  way: { readonly input: string; readonly output: string },
): { readonly notes: readonly string[]; readonly end: End | undefined } {
  const packet = { from: source, to: destination, iifname: way.input, oifname: way.output };
  const dangers = tables.flatMap((table) =>
    forwardDangers(table, packet).map((danger) => ({ ...danger, table })),
  );
  const notes: string[] = [];
  for (const { table, chain, rule, certain } of dangers) {
    const where = `chain ${chain} of table ${table.family} ${table.name}`;
    const list = `nft list table ${table.family} ${table.name}`;
    const what =
      rule === undefined ? 'drops it by its policy: no rule in it accepts it' : `drops it: ${textOf(rule)}`;
    if (certain) return { notes, end: dies(`${where} ${what}`, list) };
    notes.push(
      rule === undefined
        ? `${where} drops what it does not accept itself`
        : `${where} ${what}, unless a rule before it, which is not judged here, accepts it`,
    );
  }
  return { notes, end: undefined };
}

/** Without what iptables alone can print. */
function textOf({ expressions }: Rule): string {
  return ruleText({ expressions: expressions.filter(({ kind }) => kind !== 'counter' && kind !== 'other') });
}

/** Whether the packet's source is translated, one note per chain and mode. */
export function postroutingNotes(context: WalkContext, masqueradeAs: string): string[] {
  const notes = verdicts(context, 'postrouting').map((verdict) => {
    const { chain, action } = verdict;
    const place = placeOf(verdict);
    if (!chain.reached) return `${place}: no packet comes here, nothing leads to it`;
    if (action === undefined) return `${place}: no rule matches, the source stays`;
    if (!action.startsWith('masquerade')) return `${place}: the source stays${ruleOf(verdict)}`;
    return `${place}: masqueraded, ${context.source} becomes ${masqueradeAs}${ruleOf(verdict)}`;
  });
  if (notes.length === 0) notes.push('no masquerade rule of flanneld: the source stays');
  return notes;
}

function verdicts({ chains, source, destination }: WalkContext, purpose: LiveChain['purpose']): Verdict[] {
  return chains
    .filter((chain) => chain.purpose === purpose)
    .map((chain) => judge(chain, { source, destination, mark: 0 }));
}

function placeOf({ chain, at }: Verdict): string {
  return at === undefined ? chain.title : `${chain.title} rule ${at}`;
}

function ruleOf({ chain, at, strange }: Verdict): string {
  const text = at === undefined ? '' : ` (${chain.rules[at - 1]?.text ?? ''})`;
  return strange.length === 0
    ? text
    : `${text}; rules ${strange.join(', ')} before it are not flanneld's and not judged`;
}
