import type { Expression } from './expression.ts';
import type { Chain, ChainHead, Rule, Table } from './objects.ts';

/** Same expressions in the same order and the same comment; what counters have counted and handles play no part. */
export function sameRule(a: Rule, b: Rule): boolean {
  return (
    (a.comment ?? '') === (b.comment ?? '') &&
    a.expressions.length === b.expressions.length &&
    a.expressions.every((expression, at) => sameExpression(expression, b.expressions[at]))
  );
}

function sameExpression(a: Expression, b: Expression | undefined): boolean {
  if (a.kind === 'counter') return b?.kind === 'counter';
  return Bun.deepEquals(a, b);
}

/**
 * How `live` differs from `wanted`, one phrase each, none when they are equal. Chains may stand in any order, rules
 * may not. The phrases follow a table's name: `chain forward is missing`.
 */
export function differences(wanted: Table, live: Table | undefined): string[] {
  if (live === undefined) return ['is missing'];
  const found: string[] = [];
  if (live.dormant === true) found.push('is dormant');
  if ((wanted.comment ?? '') !== (live.comment ?? '')) found.push('has another comment');
  for (const chain of wanted.chains) {
    const other = live.chains.find(({ name }) => name === chain.name);
    found.push(...chainDifferences(chain, other).map((difference) => `chain ${chain.name} ${difference}`));
  }
  for (const { name } of live.chains) {
    if (!wanted.chains.some((chain) => chain.name === name))
      found.push(`chain ${name} does not belong there`);
  }
  return found;
}

function chainDifferences(wanted: Chain, live: Chain | undefined): string[] {
  if (live === undefined) return ['is missing'];
  const found: string[] = [];
  if (!sameHead(wanted, live)) found.push('has another hook, policy or comment');
  const inPlace = wanted.rules.filter((rule, at) =>
    sameRule(rule, live.rules[at] ?? { expressions: [] }),
  ).length;
  if (inPlace !== wanted.rules.length || live.rules.length !== wanted.rules.length) {
    found.push(
      `has ${live.rules.length} rules, ${inPlace} of the wanted ${wanted.rules.length} in their place`,
    );
  }
  return found;
}

function sameHead(a: ChainHead, b: ChainHead): boolean {
  return (a.comment ?? '') === (b.comment ?? '') && Bun.deepEquals(a.hook, b.hook);
}
