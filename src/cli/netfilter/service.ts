import type { Ip } from '#net/ip.ts';
import type { Expression } from '#nftables/expression.ts';
import type { Rule, Table } from '#nftables/objects.ts';
import { extensionOf } from './condition.ts';

/** Where the destination stands in the header (RFC 791 section 3.1, RFC 8200 section 3), bytes. */
const DESTINATION = { ipv4: 16, ipv6: 24 } as const;

/**
 * The chain, with its table, that has a rule of address translation for just this destination: so kube-proxy writes services.
 * Undefined: none. What stands in a set or a map (kube-proxy's nftables mode) is not seen. Pure.
 */
export function translatingChain(tables: readonly Table[], destination: Ip): string | undefined {
  for (const { family, name, chains, dormant } of tables) {
    const translates = chains.some(({ hook }) => hook?.type === 'nat' && hook.point === 'prerouting');
    if (!translates || dormant === true) continue;
    const chain = chains.find(({ rules }) => rules.some((rule) => isFor(rule, destination)));
    if (chain !== undefined) return `chain ${chain.name} of table ${family} ${name}`;
  }
  return undefined;
}

function isFor({ expressions }: Rule, destination: Ip): boolean {
  const bytes = destination.toBytes();
  const names = expressions.some((each, at) => {
    const before = expressions[at - 1];
    return (
      each.kind === 'cmp' &&
      each.op === '==' &&
      each.value.length === bytes.length &&
      Buffer.compare(each.value, bytes) === 0 &&
      before?.kind === 'payload' &&
      before.base === 'network' &&
      before.offset === DESTINATION[destination.family] &&
      before.register === each.register
    );
  });
  return names && expressions.some(leadsOn);
}

function leadsOn(expression: Expression): boolean {
  switch (expression.kind) {
    case 'nat':
      return true;
    case 'verdict':
      return expression.code === 'jump' || expression.code === 'goto';
    case 'other':
      return expression.name === 'redir' || extensionOf(expression, 'target') === 'DNAT';
    default:
      return false;
  }
}
