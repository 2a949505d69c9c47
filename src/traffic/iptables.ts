import { FlannelError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import { ensureEach } from './each-family.ts';
import type { ProgramResult, RunProgram } from './exec.ts';
import { FLANNEL_CHAINS, flannelChains, type IptablesFeatures } from './iptables-chain.ts';
import { joinPlans, planChains, planRemoval, type RestorePlan } from './iptables-plan.ts';
import { parseSave, type SavedTables } from './iptables-save.ts';
import type { Ensured, Removed, TrafficBackend } from './port.ts';
import type { FamilyRules, RuleSet } from './rules.ts';

/** Seconds that iptables-restore waits for /run/xtables.lock. */
const LOCK_WAIT = 5;
/** RESOURCE_PROBLEM of `xtables.h`: the lock was not free in time, or the kernel refused for now. */
const EXIT_RESOURCE = 4;
const PREFIX: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };
const FAMILIES = ['ipv4', 'ipv6'] as const;

/** Rules in chains of our own, through the iptables programs in PATH (nft or legacy variant, whichever it is). */
export class IptablesTraffic implements TrafficBackend {
  readonly mode = 'iptables';
  readonly #run: RunProgram;
  #features: IptablesFeatures | undefined;
  /** Families that are off and were looked through once for what an earlier configuration left. */
  readonly #swept = new Set<Family>();

  constructor(run: RunProgram) {
    this.#run = run;
  }

  async ensure(rules: RuleSet, signal?: AbortSignal): Promise<Ensured> {
    const one = (family: Family) => {
      const own = rules.families.find((each) => each.family === family);
      return own === undefined ? this.#sweep(family, signal) : this.#ensureFamily(own, signal);
    };
    return ensureEach(FAMILIES, one, signal);
  }

  async clear(signal?: AbortSignal): Promise<Removed> {
    const removed: string[] = [];
    for (const family of FAMILIES) removed.push(...(await this.#remove(family, signal)));
    return { removed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Every call is a program of its own: nothing is held.
  }

  async #ensureFamily(rules: FamilyRules, signal: AbortSignal | undefined): Promise<string[]> {
    const { family } = rules;
    const live = await this.#read(family, signal);
    if (live === undefined) throw missing(`${PREFIX[family]}-save`);
    const features = await this.#detect(signal);
    const wanted = flannelChains(rules, features);
    const unwanted = Object.values(FLANNEL_CHAINS).filter(
      ({ name }) => !wanted.some((chain) => chain.name === name),
    );
    const plan = joinPlans([planChains(wanted, live), planRemoval(unwanted, live)]);
    this.#swept.delete(family);
    return this.#write(family, plan, signal);
  }

  /**
   * A family that is off is not written to; what an earlier run with it left is removed once. A host where that
   * family's program does not work must not lose the other family for it.
   */
  async #sweep(family: Family, signal: AbortSignal | undefined): Promise<string[]> {
    if (this.#swept.has(family)) return [];
    this.#swept.add(family);
    try {
      return await this.#remove(family, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FlannelError) return [];
      throw error;
    }
  }

  /** Without the program there is nothing that it could have left. */
  async #remove(family: Family, signal: AbortSignal | undefined): Promise<string[]> {
    const live = await this.#read(family, signal);
    if (live === undefined) return [];
    return this.#write(family, planRemoval(Object.values(FLANNEL_CHAINS), live), signal);
  }

  /**
   * All tables in one run; undefined when the program is missing. Without `-t` the legacy variant shows what is there
   * and does not load the modules of what is not.
   */
  async #read(family: Family, signal: AbortSignal | undefined): Promise<SavedTables | undefined> {
    const program = `${PREFIX[family]}-save`;
    const result = await this.#run([program], { signal });
    return result === undefined ? undefined : parseSave(succeeded(program, result).stdout);
  }

  async #write(family: Family, plan: RestorePlan, signal: AbortSignal | undefined): Promise<string[]> {
    if (plan.input === '') return [];
    const { since162 } = await this.#detect(signal);
    const program = `${PREFIX[family]}-restore`;
    const wait = since162 ? ['-w', String(LOCK_WAIT)] : [];
    const result = await this.#run([program, '--noflush', ...wait], { stdin: plan.input, signal });
    if (result === undefined) throw missing(program);
    succeeded(program, result);
    return plan.found.map((what) => `${PREFIX[family]} ${what}`);
  }

  /** `iptables v1.8.9 (nf_tables)`; both families come from one package. Asked once. */
  async #detect(signal: AbortSignal | undefined): Promise<IptablesFeatures> {
    if (this.#features !== undefined) return this.#features;
    for (const family of FAMILIES) {
      const result = await this.#run([PREFIX[family], '--version'], { signal });
      if (result === undefined) continue;
      this.#features = { since162: isSince162(succeeded(PREFIX[family], result).stdout) };
      return this.#features;
    }
    throw missing(PREFIX.ipv4);
  }
}

/** False also for a version that cannot be read: the older form works everywhere. */
export function isSince162(version: string): boolean {
  const [, major, minor, patch] = /\bv(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  const number = Number(major ?? 0) * 1e6 + Number(minor ?? 0) * 1e3 + Number(patch ?? 0);
  return number >= 1_006_002;
}

function missing(program: string): FlannelError {
  return new FlannelError('operator', `${program} is not in PATH`, {
    cure: 'install iptables, or set EnableNFTables to true in net-conf.json',
  });
}

function succeeded(program: string, result: ProgramResult): ProgramResult {
  if (result.code === 0) return result;
  const said = result.stderr
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .slice(0, 500);
  throw new FlannelError('kernel', `${program} failed with exit code ${result.code}: ${said}`, {
    cure:
      result.code === EXIT_RESOURCE
        ? 'look for a program that holds /run/xtables.lock, and run with CAP_NET_ADMIN'
        : 'see that CAP_NET_ADMIN is there and that the kernel has the modules it names',
  });
}
