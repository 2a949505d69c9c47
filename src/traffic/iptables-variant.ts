import { FAMILIES, type Family } from '#net/family.ts';
import type { RunProgram } from './exec.ts';
import { FLANNEL_CHAINS } from './iptables-chain.ts';
import { parseSave, type SavedTables } from './iptables-save.ts';

/**
 * iptables comes in two variants that write to two different parts of the kernel. Both are evaluated, but the order between them
 * is fixed and neither shows the other's rules: one host, one variant.
 */
export type Variant = 'nft' | 'legacy';
const VARIANTS = ['nft', 'legacy'] as const;

/** The kubelet makes these chains in table mangle, the first one for this very question (KEP 3178). */
const HINTS = ['KUBE-IPTABLES-HINT', 'KUBE-KUBELET-CANARY'] as const;

/** The programs to use. */
export interface Choice {
  /** Undefined: those without a variant in their names, whatever they are. */
  readonly variant: Variant | undefined;
  readonly reason: string;
  /** Variants that are not used and in which there are rules of ours. */
  readonly left: readonly Variant[];
}

const PREFIX: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };

/** `ip6tables-legacy-save`, `iptables-restore`, `iptables` … */
export function programName(
  family: Family,
  variant: Variant | undefined,
  action?: 'save' | 'restore',
): string {
  return [
    PREFIX[family],
    ...(variant === undefined ? [] : [variant]),
    ...(action === undefined ? [] : [action]),
  ].join('-');
}

/** What the rules of one variant say about who uses it. */
export interface Evidence {
  readonly hint: string | undefined;
  /** Rules of other programs. */
  readonly foreign: number;
  readonly ours: boolean;
}

/** Looks at the rules of both variants, of both families, where both are installed. Programs that fail have nothing to show. */
export async function findVariant(run: RunProgram, signal?: AbortSignal): Promise<Choice> {
  const [nft, legacy] = [await evidence(run, 'nft', signal), await evidence(run, 'legacy', signal)];
  if (nft === undefined || legacy === undefined) {
    const plain = await run([programName('ipv4', undefined, 'save'), '--version'], { signal });
    const only = nft === undefined ? legacy : nft;
    if (plain !== undefined || only === undefined)
      return { variant: undefined, reason: 'there is no other', left: [] };
    return { variant: nft === undefined ? 'legacy' : 'nft', reason: 'there is no other', left: [] };
  }
  return chooseVariant({ nft, legacy });
}

/**
 * The variant that the rest of the host uses: that with a chain of the kubelet, else that with more rules of others, else that
 * with rules of ours. Pure.
 */
export function chooseVariant(all: Readonly<Record<Variant, Evidence>>): Choice {
  const decided = (variant: Variant | undefined, reason: string): Choice => ({
    variant,
    reason,
    left: VARIANTS.filter((other) => variant !== undefined && other !== variant && all[other].ours),
  });
  for (const variant of VARIANTS) {
    const { hint } = all[variant];
    if (hint !== undefined) return decided(variant, `chain ${hint}`);
  }
  const { nft, legacy } = all;
  if (nft.foreign !== legacy.foreign) {
    const variant = legacy.foreign > nft.foreign ? 'legacy' : 'nft';
    return decided(variant, `${all[variant].foreign} rules of others there`);
  }
  const own = VARIANTS.filter((variant) => all[variant].ours);
  if (own.length === 1) return decided(own[0], 'rules of an earlier run there');
  // With rules of ours in both and nothing else to go by: one of them, so that the other's go.
  return own.length === 0
    ? decided(undefined, 'no rules of others anywhere')
    : decided('nft', 'rules of an earlier run in both');
}

/** Undefined when the variant is not installed. */
async function evidence(
  run: RunProgram,
  variant: Variant,
  signal: AbortSignal | undefined,
): Promise<Evidence | undefined> {
  const found: SavedTables[] = [];
  for (const family of FAMILIES) {
    // Without -t the legacy variant shows what is there and does not make what is not.
    const result = await run([programName(family, variant, 'save')], { signal });
    if (result !== undefined) found.push(parseSave(result.code === 0 ? result.stdout : ''));
  }
  return found.length === 0 ? undefined : weigh(found);
}

function weigh(found: readonly SavedTables[]): Evidence {
  const names: ReadonlySet<string> = new Set(Object.values(FLANNEL_CHAINS).map(({ name }) => name));
  let foreign = 0;
  let ours = false;
  const hints = new Set<string>();
  for (const table of found.flatMap((tables) => [...tables.values()])) {
    for (const [chain, rules] of table) {
      if (names.has(chain)) ours = true;
      else foreign += rules.filter((rule) => !names.has(rule.slice(rule.lastIndexOf(' ') + 1))).length;
      for (const hint of HINTS) if (chain === hint) hints.add(hint);
    }
  }
  return { hint: HINTS.find((name) => hints.has(name)), foreign, ours };
}
