import type { Expression } from '#nftables/expression.ts';
import type { Rule, Table } from '#nftables/objects.ts';
import { extensionOf, holds, otherHolds, type Registers, type SamplePacket } from './condition.ts';

/** How deep jumps may lead: the kernel's own limit (NFT_JUMP_STACK_SIZE). */
const DEPTH = 16;

/** What a base chain at the hook forward does to a packet that it does not let through for certain. */
export interface ForwardDanger {
  readonly chain: string;
  /** The rule that drops it; undefined: the chain's policy. */
  readonly rule: Rule | undefined;
  /** False: a rule before that nobody can judge here may let it through. */
  readonly certain: boolean;
}

/**
 * The base chains of the table at the hook forward that drop the packet. Pure. Of rules that are not understood those that let
 * packets through are thought to do so, which makes the rest uncertain; those that drop are passed over.
 */
export function forwardDangers(table: Table, packet: SamplePacket): ForwardDanger[] {
  if (table.dormant === true) return [];
  return table.chains.flatMap(({ name, hook }): ForwardDanger[] => {
    if (hook?.type !== 'filter' || hook.point !== 'forward') return [];
    const walk = new Walk(table, packet);
    const end = walk.chain(name, 0);
    if (end.verdict === 'accept' || (end.verdict === 'go-on' && hook.policy === 'accept')) return [];
    return [{ chain: name, rule: end.verdict === 'drop' ? end.rule : undefined, certain: walk.certain }];
  });
}

interface Outcome {
  readonly verdict: 'accept' | 'drop' | 'return' | 'go-on';
  readonly rule?: Rule;
}

const GO_ON: Outcome = { verdict: 'go-on' };

class Walk {
  readonly #table: Table;
  readonly #packet: SamplePacket;
  certain = true;

  constructor(table: Table, packet: SamplePacket) {
    this.#table = table;
    this.#packet = packet;
  }

  chain(name: string, depth: number): Outcome {
    const rules = this.#table.chains.find((chain) => chain.name === name)?.rules ?? [];
    for (const rule of rules) {
      const outcome = this.#rule(rule, depth);
      if (outcome.verdict === 'return') return GO_ON;
      if (outcome.verdict !== 'go-on') return outcome;
    }
    return GO_ON;
  }

  /** Its conditions in order, until one does not hold or a verdict is there. */
  #rule(rule: Rule, depth: number): Outcome {
    const registers: Registers = new Map();
    for (const expression of rule.expressions) {
      const verdict = this.#verdict(expression, rule, depth);
      if (verdict !== undefined) return verdict;
      const held = this.#condition(expression, registers);
      if (held === false) return GO_ON;
      if (held === undefined) {
        if (mayRescue(rule)) this.certain = false;
        return GO_ON;
      }
    }
    return GO_ON;
  }

  #condition(expression: Expression, registers: Registers): boolean | undefined {
    switch (expression.kind) {
      case 'counter':
      case 'immediate':
      case 'masq':
      case 'nat':
      case 'verdict':
        return true;
      case 'other':
        return HARMLESS.has(expression.name) ? true : otherHolds(expression, registers);
      default:
        return holds(this.#packet, expression, registers);
    }
  }

  #verdict(expression: Expression, rule: Rule, depth: number): Outcome | undefined {
    if (expression.kind === 'other') return rejects(expression) ? { verdict: 'drop', rule } : undefined;
    if (expression.kind !== 'verdict') return undefined;
    switch (expression.code) {
      case 'accept':
        return { verdict: 'accept' };
      case 'drop':
        return { verdict: 'drop', rule };
      case 'return':
        return { verdict: 'return' };
      case 'continue':
      case 'break':
        return GO_ON;
      case 'jump':
      case 'goto': {
        if (depth >= DEPTH || expression.chain === undefined) return GO_ON;
        const inner = this.chain(expression.chain, depth + 1);
        return expression.code === 'goto' && inner.verdict === 'go-on' ? { verdict: 'return' } : inner;
      }
    }
  }
}

/** Expressions that decide nothing. */
const HARMLESS: ReadonlySet<string> = new Set(['log', 'objref', 'dup', 'notrack', 'last']);

/** An answer instead of the packet: the kernel's own, and iptables' target. */
function rejects(expression: Extract<Expression, { kind: 'other' }>): boolean {
  return expression.name === 'reject' || extensionOf(expression, 'target') === 'REJECT';
}

/** True unless the rule does nothing but drop. */
function mayRescue({ expressions }: Rule): boolean {
  return !expressions.some(
    (each) => (each.kind === 'verdict' && each.code === 'drop') || (each.kind === 'other' && rejects(each)),
  );
}
