import { FlannelError } from '#base/errors.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import type { ProgramResult, RunProgram } from './exec.ts';
import { FLANNEL_CHAINS, type IptablesFeatures } from './iptables-chain.ts';
import { planRemoval, type RestorePlan } from './iptables-plan.ts';
import { parseSave, type SavedTables } from './iptables-save.ts';
import { programName, type Variant } from './iptables-variant.ts';

/** Seconds that iptables-restore waits for /run/xtables.lock. */
const LOCK_WAIT = 5;
/** RESOURCE_PROBLEM of `xtables.h`: the lock was not free in time, or the kernel refused for now. */
const EXIT_RESOURCE = 4;

/** The programs of one variant of iptables. */
export class IptablesTool {
  readonly #run: RunProgram;
  readonly #variant: Variant | undefined;
  readonly #title: (family: Family) => string;
  #features: IptablesFeatures | undefined;

  /** Without a variant: the programs whose names have none. `title`: what they are called in words. */
  constructor(run: RunProgram, variant: Variant | undefined, title: (family: Family) => string) {
    this.#run = run;
    this.#title = title;
    this.#variant = variant;
  }

  /**
   * All tables in one run; undefined when the program is missing. Without `-t` the legacy variant shows what is there
   * and does not load the modules of what is not.
   */
  async read(family: Family, signal: AbortSignal | undefined): Promise<SavedTables | undefined> {
    const program = programName(family, this.#variant, 'save');
    const result = await this.#run([program], { signal });
    return result === undefined ? undefined : parseSave(succeeded(program, result).stdout);
  }

  /** As `read`; throws when the program is missing. */
  async mustRead(family: Family, signal: AbortSignal | undefined): Promise<SavedTables> {
    const live = await this.read(family, signal);
    if (live === undefined) throw missing(programName(family, this.#variant, 'save'));
    return live;
  }

  /** Carries a plan out, one transaction per table; says what was mended. */
  async write(family: Family, plan: RestorePlan, signal: AbortSignal | undefined): Promise<string[]> {
    if (plan.input === '') return [];
    const { since162 } = await this.features(signal);
    const program = programName(family, this.#variant, 'restore');
    const wait = since162 ? ['-w', String(LOCK_WAIT)] : [];
    const result = await this.#run([program, '--noflush', ...wait], { stdin: plan.input, signal });
    if (result === undefined) throw missing(program);
    succeeded(program, result);
    return this.#told(family, plan);
  }

  /** Removes all of ours. */
  async remove(family: Family, signal: AbortSignal | undefined): Promise<string[]> {
    return this.write(family, await this.#removal(family, signal), signal);
  }

  /** What `remove` would remove. */
  async traces(family: Family, signal: AbortSignal | undefined): Promise<string[]> {
    return this.#told(family, await this.#removal(family, signal));
  }

  /** Without the program there is nothing that it could have left. */
  async #removal(family: Family, signal: AbortSignal | undefined): Promise<RestorePlan> {
    const live = await this.read(family, signal);
    return live === undefined ? { input: '', found: [] } : planRemoval(Object.values(FLANNEL_CHAINS), live);
  }

  #told(family: Family, { found }: RestorePlan): string[] {
    return found.map((what) => `${this.#title(family)} ${what}`);
  }

  /** `iptables v1.8.9 (nf_tables)`; both families come from one package. Asked once. */
  async features(signal: AbortSignal | undefined): Promise<IptablesFeatures> {
    if (this.#features !== undefined) return this.#features;
    for (const family of FAMILIES) {
      const program = programName(family, this.#variant);
      const result = await this.#run([program, '--version'], { signal });
      if (result === undefined) continue;
      this.#features = { since162: isSince162(succeeded(program, result).stdout) };
      return this.#features;
    }
    throw missing(programName('ipv4', this.#variant));
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
