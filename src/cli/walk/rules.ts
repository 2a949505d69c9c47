import { judge, type LiveChain, type Verdict } from '#traffic/live-chains.ts';
import type { WalkContext } from './context.ts';

/** What our chain says to the packet, one note per chain and mode; and what others may do. */
export function forwardNotes(context: WalkContext): string[] {
  const notes = verdicts(context, 'forward').map((verdict) => {
    const { chain, action } = verdict;
    const place = placeOf(verdict);
    if (!chain.reached) return `${place}: no packet comes here, nothing leads to it`;
    return action === undefined ? `${place}: no rule matches` : `${place}: ${action}ed${ruleOf(verdict)}`;
  });
  if (notes.length === 0) notes.push('no forward rule of flanneld: what others forbid is forbidden');
  return [...notes, ...context.drops.map((chain) => `${chain} drops what it does not accept itself`)];
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
