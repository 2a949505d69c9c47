import type { Family } from '#net/family.ts';
import { FAMILIES } from '#net/family.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import { programRunner, type ProgramResult, type RunProgram } from '#traffic/exec.ts';
import { parseSave, type SavedTable } from '#traffic/iptables-save.ts';
import type { Environment } from './environment.ts';
import { CniError, CODE } from './error.ts';
import { mayHaveChain } from './nat-chains.ts';

/** Bound of one program, ms; it waits for the lock that long less a margin. */
const TIMEOUT = 30_000;
const LOCK_WAIT = '20';
/** Another plugin call may change the table between reading and writing. */
const TRIES = 10;
const PROGRAM: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };
const EMPTY: SavedTable = new Map<string, readonly string[]>();

/** Commands of iptables-restore for table nat; none: nothing is to do. */
export interface NatPlan {
  readonly commands: readonly string[];
}

export interface NatTableOptions {
  readonly env: Environment;
  /** The way out when iptables is not there or does not work, for messages: which key says nftables. */
  readonly instead: string;
  readonly run?: RunProgram;
}

/** Table nat of iptables, through the programs in PATH (nft or legacy variant, whichever they are). */
export class NatTable {
  readonly #run: RunProgram;
  readonly #instead: string;
  /** What `works` has read: the first change need not read it again. */
  readonly #seen = new Map<Family, string>();

  constructor({ env, instead, run = programRunner({ env, timeoutMs: TIMEOUT }) }: NatTableOptions) {
    this.#run = run;
    this.#instead = instead;
  }

  /** Whether iptables can be used at all: its program is there and can read the table. */
  async works(family: Family): Promise<boolean> {
    const result = await this.#run([`${PROGRAM[family]}-save`, '-t', 'nat']);
    if (result?.code !== 0) return false;
    this.#seen.set(family, result.stdout);
    return true;
  }

  /** Chains by name; empty when there is no such table yet. */
  async read(family: Family): Promise<SavedTable> {
    const seen = this.#seen.get(family);
    this.#seen.delete(family);
    if (seen !== undefined) return parseSave(seen).get('nat') ?? EMPTY;
    const program = `${PROGRAM[family]}-save`;
    const result = await this.#run([program, '-t', 'nat']);
    if (result?.code !== 0) throw this.#failure(program, result);
    return parseSave(result.stdout).get('nat') ?? EMPTY;
  }

  /**
   * Makes what `plan` decides in one transaction, and returns it; it is decided again when somebody else has changed the
   * table meanwhile.
   */
  async change<P extends NatPlan>(family: Family, plan: (live: SavedTable) => P): Promise<P> {
    for (let tries = 1; ; tries += 1) {
      const live = await this.read(family);
      const made = plan(live);
      if (made.commands.length === 0) return made;
      const program = `${PROGRAM[family]}-restore`;
      const stdin = ['*nat', ...made.commands, 'COMMIT', ''].join('\n');
      const result = await this.#run([program, '--noflush', '-w', LOCK_WAIT], { stdin });
      if (result?.code === 0) return made;
      const again = tries < TRIES && result !== undefined && !Bun.deepEquals(await this.read(family), live);
      if (!again) throw this.#failure(program, result);
    }
  }

  /** As `change` for both families at a time, those in which one of `chains` may be there; the plans that were made. */
  async changeWhere<P extends NatPlan>(
    where: { readonly connection: NetlinkConnection; readonly chains: readonly string[] },
    plan: (live: SavedTable) => P,
  ): Promise<readonly P[]> {
    const families = FAMILIES.filter((family) => mayHaveChain(where.connection, family, where.chains));
    return allDone(families.map(async (family) => this.change(family, plan)));
  }

  /** Whether `chain` is there in one of the families. */
  async has(connection: NetlinkConnection, chain: string): Promise<boolean> {
    for (const family of FAMILIES) {
      if (mayHaveChain(connection, family, [chain]) && (await this.read(family)).has(chain)) return true;
    }
    return false;
  }

  #failure(program: string, result: ProgramResult | undefined): CniError {
    if (result === undefined) {
      const details = `install iptables, or set ${this.#instead}`;
      return new CniError(CODE.INTERNAL, `${program} is not in PATH`, { details });
    }
    const said = result.stderr
      .trim()
      .replaceAll(/\s*\n\s*/g, '; ')
      .slice(0, 500);
    return new CniError(CODE.INTERNAL, `${program} failed with exit code ${result.code}: ${said}`, {
      details: `see that the kernel has the modules and matches it names, or set ${this.#instead}`,
    });
  }
}

/** The results of all; when one fails, its error once none is running any more. */
export async function allDone<T>(running: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(running);
  return Promise.all(running);
}

/** The error of a CHECK that does not find a rule. */
export function missingRule(family: Family, chain: string, line: string): CniError {
  const message = `CHECK: ${PROGRAM[family]} has no rule ${line} in chain ${chain} of table nat`;
  return new CniError(CODE.INTERNAL, message, { details: 'remove the container and add it again' });
}

/** The lines that a chain does not have. */
export function absent(live: SavedTable, chain: string, lines: readonly string[]): readonly string[] {
  const present = live.get(chain) ?? [];
  return lines.filter((line) => !present.includes(line));
}

/** The chain that a rule jumps or goes to. */
export function jumpTarget(line: string): string | undefined {
  return / -[jg] (\S+)$/.exec(` ${line}`)?.[1];
}

/** Commands that remove every rule that leads to `chain`. */
export function removeJumps(chain: string, live: SavedTable): readonly string[] {
  return [...live].flatMap(([from, lines]) =>
    from === chain
      ? []
      : lines.filter((line) => jumpTarget(line) === chain).map((line) => `-D ${from} ${line}`),
  );
}

/** Commands that remove `chain` and all that leads to it. */
export function removeChain(chain: string, live: SavedTable): readonly string[] {
  return [...removeJumps(chain, live), `-F ${chain}`, `-X ${chain}`];
}
