import { FlannelError } from '#base/errors.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import { Nftables } from '#nftables/connection.ts';
import { ensureEach } from './each-family.ts';
import type { RunProgram } from './exec.ts';
import { forwardDrops } from './forward-drops.ts';
import { FLANNEL_CHAINS, flannelChains } from './iptables-chain.ts';
import { joinPlans, planChains, planRemoval, type RestorePlan } from './iptables-plan.ts';
import { IptablesTool } from './iptables-tool.ts';
import { findVariant, programName, type Variant } from './iptables-variant.ts';
import type { Ensured, Removed, TrafficBackend } from './port.ts';
import type { FamilyRules, RuleSet } from './rules.ts';

/** The programs that a run uses, and where an earlier run with others has left rules. */
interface Tools {
  readonly used: IptablesTool;
  readonly name: string;
  readonly left: ReadonlySet<Variant>;
}

/** Rules in chains of our own, through the iptables programs in PATH, of the variant that the rest of the host uses. */
export class IptablesTraffic implements TrafficBackend {
  readonly mode = 'iptables';
  readonly #run: RunProgram;
  #tools: Tools | undefined;
  /** Variants that are not used and are free of our rules now. */
  readonly #freed = new Set<Variant>();
  /** Families that are off and were looked through once for what an earlier configuration left. */
  readonly #swept = new Set<Family>();

  constructor(run: RunProgram) {
    this.#run = run;
  }

  get program(): string | undefined {
    return this.#tools?.name;
  }

  async ensure(rules: RuleSet, signal?: AbortSignal): Promise<Ensured> {
    const { used, left } = await this.#open(signal);
    const one = (family: Family) => {
      const own = rules.families.find((each) => each.family === family);
      return own === undefined ? this.#sweep(used, family, signal) : ensureFamily(used, own, signal);
    };
    const ensured = await ensureEach(FAMILIES, one, signal);
    for (const { family } of rules.families) this.#swept.delete(family);
    // Only now, so that there are rules at any time.
    const freed: string[] = [];
    for (const variant of left) freed.push(...(await this.#free(variant, signal)));
    return freed.length === 0
      ? ensured
      : {
          ...ensured,
          changed: true,
          repaired: [...ensured.repaired, ...freed.map((what) => `${what}: is left`)],
        };
  }

  async compare(rules: RuleSet, signal?: AbortSignal): Promise<readonly string[]> {
    const { used } = await this.#open(signal);
    const found: string[] = [];
    for (const own of rules.families) {
      const plan = await planFamily(used, own, signal);
      found.push(...plan.found.map((what) => `${programName(own.family, undefined)} ${what}`));
    }
    return found;
  }

  drops(rules: RuleSet): readonly string[] {
    try {
      using nftables = Nftables.open();
      return forwardDrops(nftables, rules, this.mode);
    } catch (error) {
      // A kernel without nf_tables has no such chains.
      if (error instanceof FlannelError) return [];
      throw error;
    }
  }

  async traces(signal?: AbortSignal): Promise<readonly string[]> {
    const { used, left } = await this.#open(signal);
    const found: string[] = [];
    for (const tool of [used, ...[...left].map((variant) => this.#other(variant))])
      for (const family of FAMILIES) found.push(...(await tool.traces(family, signal)));
    return found;
  }

  async clear(signal?: AbortSignal): Promise<Removed> {
    const { used, left } = await this.#open(signal);
    const removed: string[] = [];
    for (const family of FAMILIES) removed.push(...(await used.remove(family, signal)));
    for (const variant of left) removed.push(...(await this.#free(variant, signal)));
    return { removed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Every call is a program of its own: nothing is held.
  }

  async #open(signal: AbortSignal | undefined): Promise<Tools> {
    if (this.#tools !== undefined) return this.#tools;
    const { variant, reason, left } = await findVariant(this.#run, signal);
    this.#tools = {
      used: new IptablesTool(this.#run, variant, (family) => programName(family, undefined)),
      name: `${programName('ipv4', variant)} (${reason})`,
      left: new Set(left),
    };
    return this.#tools;
  }

  /** The programs of the variant that is not in use. */
  #other(variant: Variant): IptablesTool {
    return new IptablesTool(this.#run, variant, (family) => programName(family, variant));
  }

  async #free(variant: Variant, signal: AbortSignal | undefined): Promise<string[]> {
    if (this.#freed.has(variant)) return [];
    const tool = this.#other(variant);
    const removed: string[] = [];
    for (const family of FAMILIES) removed.push(...(await tool.remove(family, signal)));
    this.#freed.add(variant);
    return removed;
  }

  /**
   * A family that is off is not written to; what an earlier run with it left is removed once. A host where that
   * family's program does not work must not lose the other family for it.
   */
  async #sweep(tool: IptablesTool, family: Family, signal: AbortSignal | undefined): Promise<string[]> {
    if (this.#swept.has(family)) return [];
    this.#swept.add(family);
    try {
      return await tool.remove(family, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FlannelError) return [];
      throw error;
    }
  }
}

async function ensureFamily(
  tool: IptablesTool,
  rules: FamilyRules,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  return tool.write(rules.family, await planFamily(tool, rules, signal), signal);
}

async function planFamily(
  tool: IptablesTool,
  rules: FamilyRules,
  signal: AbortSignal | undefined,
): Promise<RestorePlan> {
  const live = await tool.mustRead(rules.family, signal);
  const wanted = flannelChains(rules, await tool.features(signal));
  const unwanted = Object.values(FLANNEL_CHAINS).filter(
    ({ name }) => !wanted.some((chain) => chain.name === name),
  );
  return joinPlans([planChains(wanted, live), planRemoval(unwanted, live)]);
}
