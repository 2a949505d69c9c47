import type { Expression } from '#nftables/expression.ts';
import type { Rule, Table } from '#nftables/objects.ts';
import { extensionOf, holds, type Registers, type SamplePacket } from './condition.ts';

/** How deep jumps may lead: the kernel's own limit (NFT_JUMP_STACK_SIZE). */
const DEPTH = 16;

type Verdict = 'masquerade' | 'end' | 'return' | 'go-on';

/**
 * The rules (their chain, their text is the caller's) that would masquerade the packet: one per base chain of type nat at the
 * hook postrouting, whatever its program. A rule with a condition that is not understood counts as one that does not hold.
 */
export function masqueradingRules(
  table: Table,
  packet: SamplePacket,
): { readonly chain: string; readonly rule: Rule }[] {
  return table.chains.flatMap(({ name, hook }) => {
    if (hook?.type !== 'nat' || hook.point !== 'postrouting' || table.dormant === true) return [];
    const hit = walk({ table, packet }, name, 0);
    return hit.verdict === 'masquerade' && hit.rule !== undefined ? [{ chain: name, rule: hit.rule }] : [];
  });
}

interface Scene {
  readonly table: Table;
  readonly packet: SamplePacket;
}

interface Outcome {
  readonly verdict: Verdict;
  readonly rule?: Rule;
}

function walk(scene: Scene, chain: string, depth: number): Outcome {
  const rules = scene.table.chains.find(({ name }) => name === chain)?.rules ?? [];
  for (const rule of rules) {
    const outcome = step(scene, rule, depth);
    if (outcome.verdict === 'return') return { verdict: 'go-on' };
    if (outcome.verdict !== 'go-on') return outcome;
  }
  return { verdict: 'go-on' };
}

/** One rule: its conditions in order, until one does not hold or a verdict is there. */
function step(scene: Scene, rule: Rule, depth: number): Outcome {
  const registers: Registers = new Map();
  for (const expression of rule.expressions) {
    switch (expression.kind) {
      case 'counter':
      case 'immediate':
        continue;
      case 'masq':
        return { verdict: 'masquerade', rule };
      case 'nat':
        return { verdict: 'end' };
      case 'verdict':
        return follow(scene, expression, depth);
      case 'other':
        return extensionOf(expression, 'target') === 'MASQUERADE'
          ? { verdict: 'masquerade', rule }
          : { verdict: 'go-on' };
      default:
        if (holds(scene.packet, expression, registers) !== true) return { verdict: 'go-on' };
    }
  }
  return { verdict: 'go-on' };
}

function follow(scene: Scene, verdict: Extract<Expression, { kind: 'verdict' }>, depth: number): Outcome {
  switch (verdict.code) {
    case 'accept':
    case 'drop':
      return { verdict: 'end' };
    case 'return':
      return { verdict: 'return' };
    case 'jump':
    case 'goto': {
      if (depth >= DEPTH || verdict.chain === undefined) return { verdict: 'end' };
      const inner = walk(scene, verdict.chain, depth + 1);
      return verdict.code === 'goto' && inner.verdict === 'go-on' ? { verdict: 'return' } : inner;
    }
    case 'continue':
    case 'break':
      return { verdict: 'go-on' };
  }
}
