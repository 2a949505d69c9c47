import type { Family } from '#net/family.ts';
import { FAMILIES } from '#net/family.ts';
import { Nftables } from '#nftables/connection.ts';
import { tryReadText } from '#ffi/file-system.ts';
import { programRunner, type ProgramResult, type RunProgram } from '#traffic/exec.ts';
import { parseSave, type SavedTable } from '#traffic/iptables-save.ts';
import { CniError, CODE } from '../error.ts';
import type { Environment } from '../environment.ts';
import { targetsOf, type Forwarding, type LostMapping, type Owner } from './forwarding.ts';
import { withoutNfTables } from '#nftables/attempt.ts';
import { absent, planAdd, planCollection, planRemoval, type IptablesPlan } from './iptables-plan.ts';
import {
  chainRules,
  commonChains,
  containerChain,
  DNAT_CHAIN,
  entryRules,
  oldSnatChain,
} from './iptables-rules.ts';

/** Bound of one program, ms; it waits for the lock that long less a margin. */
const TIMEOUT = 30_000;
const LOCK_WAIT = '20';
/** Another plugin call may change the table between reading and writing. */
const TRIES = 10;
const PROGRAM: Readonly<Record<Family, string>> = { ipv4: 'iptables', ipv6: 'ip6tables' };

/** Port mappings in table nat of iptables, through the programs in PATH (nft or legacy variant, whichever they are). */
export class IptablesPortmap {
  readonly #run: RunProgram;
  /** What `works` has read: the first change need not read it again. */
  readonly #seen = new Map<Family, string>();

  constructor(env: Environment, run: RunProgram = programRunner({ env, timeoutMs: TIMEOUT })) {
    this.#run = run;
  }

  /** Whether iptables can be used at all: its program is there and can read table nat. */
  async works(family: Family): Promise<boolean> {
    const result = await this.#run([`${PROGRAM[family]}-save`, '-t', 'nat']);
    if (result?.code !== 0) return false;
    this.#seen.set(family, result.stdout);
    return true;
  }

  /** Adds the mappings, each family in one transaction of iptables-restore, both at a time. */
  async add(forwarding: Forwarding): Promise<readonly LostMapping[]> {
    const changes = targetsOf(forwarding).map(async (target) =>
      this.#change(target.family, (live) => planAdd(forwarding, target, live)),
    );
    return settled(changes);
  }

  /** Removes the container's chains; nothing is executed where there can be none. */
  async remove(owner: Owner): Promise<readonly LostMapping[]> {
    const chains = [containerChain(owner), oldSnatChain(owner)];
    return this.#changeWhere(chains, (live) => planRemoval(chains, live));
  }

  /** Removes the network's chains whose container is not in `valid`. */
  async collect(network: string, valid: ReadonlySet<string>): Promise<readonly LostMapping[]> {
    return this.#changeWhere([DNAT_CHAIN], (live) => planCollection(network, valid, live));
  }

  /** Whether the container has a chain. */
  async has(owner: Owner): Promise<boolean> {
    const chain = containerChain(owner);
    for (const family of FAMILIES) {
      if (mayHave(family, [chain]) && (await this.#read(family))?.has(chain) === true) return true;
    }
    return false;
  }

  /** Throws CniError 999 when a rule is missing. */
  async check(forwarding: Forwarding): Promise<void> {
    const { config } = forwarding;
    const chain = containerChain(forwarding);
    for (const target of targetsOf(forwarding)) {
      const rules = chainRules(forwarding, target);
      if (rules.length === 0) continue;
      const live = (await this.#read(target.family)) ?? new Map<string, readonly string[]>();
      const wanted = [
        ...commonChains(config).flatMap((common) => [
          ...common.rules.map((line) => [common.name, line] as const),
          ...common.jumps.map(({ from, line }) => [from, line] as const),
        ]),
        ...rules.map((line) => [chain, line] as const),
      ];
      for (const [name, line] of wanted) {
        if (absent(live, name, [line]).length > 0) throw missing(target.family, name, line);
      }
      await this.#checkEntries(forwarding, target.family);
    }
  }

  /** Port by port: they may be spread over rules, and iptables-save has an order of its own for conditions. */
  async #checkEntries(forwarding: Forwarding, family: Family): Promise<void> {
    const rows = (await this.#read(family))?.get(DNAT_CHAIN) ?? [];
    const suffix = ` -j ${containerChain(forwarding)}`;
    const present = new Set(
      rows
        .filter((line) => line.endsWith(suffix))
        .flatMap((line) => {
          const protocol = /-p (\w+) /.exec(line)?.[1];
          const ports = / --dports ([\d,]+) /.exec(line)?.[1] ?? '';
          return ports.split(',').map((port) => `${protocol} ${port}`);
        }),
    );
    for (const { protocol, ports, line } of entryRules(forwarding, family)) {
      for (const port of ports)
        if (!present.has(`${protocol} ${port}`)) throw missing(family, DNAT_CHAIN, line);
    }
  }

  async #changeWhere(
    chains: readonly string[],
    plan: (live: SavedTable) => IptablesPlan,
  ): Promise<readonly LostMapping[]> {
    const families = FAMILIES.filter((family) => mayHave(family, chains));
    return settled(families.map(async (family) => this.#change(family, plan)));
  }

  async #change(family: Family, plan: (live: SavedTable) => IptablesPlan): Promise<readonly LostMapping[]> {
    for (let tries = 1; ; tries += 1) {
      const live = await this.#read(family);
      const { commands, lost } = plan(live ?? new Map<string, readonly string[]>());
      if (commands.length === 0) return lost;
      const input = ['*nat', ...commands, 'COMMIT', ''].join('\n');
      const program = `${PROGRAM[family]}-restore`;
      const result = await this.#run([program, '--noflush', '-w', LOCK_WAIT], { stdin: input });
      if (result?.code === 0) return lost;
      // Somebody else made or removed a chain meanwhile: what there is to do is decided again.
      if (tries < TRIES && result !== undefined && (await this.#changed(family, live))) continue;
      throw failure(program, result);
    }
  }

  async #changed(family: Family, before: SavedTable | undefined): Promise<boolean> {
    return !Bun.deepEquals(await this.#read(family), before);
  }

  /** Table nat; undefined when there is none yet. */
  async #read(family: Family): Promise<SavedTable | undefined> {
    const seen = this.#seen.get(family);
    this.#seen.delete(family);
    if (seen !== undefined) return parseSave(seen).get('nat');
    const program = `${PROGRAM[family]}-save`;
    const result = await this.#run([program, '-t', 'nat']);
    if (result?.code !== 0) throw failure(program, result);
    return parseSave(result.stdout).get('nat');
  }
}

/** The lists of all; when one fails, its error once none is running any more. */
async function settled<T>(running: readonly Promise<readonly T[]>[]): Promise<readonly T[]> {
  await Promise.allSettled(running);
  return (await Promise.all(running)).flat();
}

/**
 * Whether one of the chains may be there, without a program: iptables' nft variant keeps them in table nat of nf_tables,
 * the legacy one lists its tables in /proc.
 */
function mayHave(family: Family, chains: readonly string[]): boolean {
  const legacy = tryReadText(`/proc/thread-self/net/ip${family === 'ipv4' ? '' : '6'}_tables_names`);
  if (legacy?.split('\n').includes('nat') === true) return true;
  using nft = Nftables.open();
  const table = { family: family === 'ipv4' ? 'ip' : 'ip6', name: 'nat' } as const;
  return withoutNfTables(false, () => chains.some((chain) => nft.hasChain(table, chain)));
}

function missing(family: Family, chain: string, line: string): CniError {
  return new CniError(
    CODE.INTERNAL,
    `CHECK: ${PROGRAM[family]} has no rule ${line} in chain ${chain} of table nat`,
  );
}

function failure(program: string, result: ProgramResult | undefined): CniError {
  if (result === undefined) {
    return new CniError(CODE.INTERNAL, `${program} is not in PATH`, {
      details: 'install iptables, or set "backend": "nftables" in the portmap configuration',
    });
  }
  const said = result.stderr
    .trim()
    .replaceAll(/\s*\n\s*/g, '; ')
    .slice(0, 500);
  return new CniError(CODE.INTERNAL, `${program} failed with exit code ${result.code}: ${said}`, {
    details: 'see that the kernel has the modules it names, and that conditions are matches it knows',
  });
}
