import { tryReadText } from '#ffi/file-system.ts';
import type { Family } from '#net/family.ts';
import { withoutNfTables } from '#nftables/attempt.ts';
import { Nftables } from '#nftables/connection.ts';
import { programRunner, type ProgramResult, type RunProgram } from '#traffic/exec.ts';
import { parseSave, type SavedTable } from '#traffic/iptables-save.ts';
import type { Environment } from '../environment.ts';
import { CniError, CODE } from '../error.ts';

/** Bound of one program, ms; it waits for the lock that long less a margin. */
const TIMEOUT = 30_000;
const LOCK_WAIT = '20';
/** Another plugin call may change the table between reading and writing. */
const TRIES = 10;
const PROGRAM: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };
const EMPTY: SavedTable = new Map<string, readonly string[]>();

/** Decides on commands of iptables-restore by what is there; none: nothing is to do. */
export type PlanCommands = (live: SavedTable) => readonly string[];

/** Table nat of iptables, through the programs in PATH (nft or legacy variant, whichever they are). */
export class NatTable {
  readonly #run: RunProgram;
  /** What `works` has read: the first change need not read it again. */
  readonly #seen = new Map<Family, string>();

  constructor(env: Environment, run: RunProgram = programRunner({ env, timeoutMs: TIMEOUT })) {
    this.#run = run;
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
    if (result?.code !== 0) throw failure(program, result);
    return parseSave(result.stdout).get('nat') ?? EMPTY;
  }

  /** Makes the change in one transaction; it is decided again when somebody else has changed the table meanwhile. */
  async change(family: Family, plan: PlanCommands): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      const live = await this.read(family);
      const commands = plan(live);
      if (commands.length === 0) return;
      const program = `${PROGRAM[family]}-restore`;
      const stdin = ['*nat', ...commands, 'COMMIT', ''].join('\n');
      const result = await this.#run([program, '--noflush', '-w', LOCK_WAIT], { stdin });
      if (result?.code === 0) return;
      const again = tries < TRIES && result !== undefined && !Bun.deepEquals(await this.read(family), live);
      if (!again) throw failure(program, result);
    }
  }
}

/**
 * Whether one of the chains may be there, without a program: iptables' nft variant keeps them in table nat of nf_tables,
 * the legacy one lists its tables in /proc.
 */
export function mayHaveChain(family: Family, chains: readonly string[]): boolean {
  const legacy = tryReadText(`/proc/thread-self/net/ip${family === 'ipv4' ? '' : '6'}_tables_names`);
  if (legacy?.split('\n').includes('nat') === true) return true;
  using nft = Nftables.open();
  const table = { family: family === 'ipv4' ? 'ip' : 'ip6', name: 'nat' } as const;
  return withoutNfTables(false, () => chains.some((chain) => nft.hasChain(table, chain)));
}

function failure(program: string, result: ProgramResult | undefined): CniError {
  if (result === undefined) {
    return new CniError(CODE.INTERNAL, `${program} is not in PATH`, {
      details: 'install iptables, or set "ipMasqBackend": "nftables" in the bridge configuration',
    });
  }
  const said = result.stderr
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .slice(0, 500);
  return new CniError(CODE.INTERNAL, `${program} failed with exit code ${result.code}: ${said}`, {
    details: 'see that the kernel has the modules it names, or set "ipMasqBackend": "nftables"',
  });
}
