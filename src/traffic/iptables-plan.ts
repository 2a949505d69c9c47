import { jumpLine, type ChainPlace, type WantedChain } from './iptables-chain.ts';
import type { SavedTable, SavedTables } from './iptables-save.ts';

/** What `iptables-restore --noflush` has to do, and why; `input` is empty when nothing is. */
export interface RestorePlan {
  readonly input: string;
  /** One phrase per difference, e.g. `nat FLANNEL-POSTRTG: is missing`. */
  readonly found: readonly string[];
}

/** Commands for one table, with the reasons for them. */
interface Steps {
  readonly table: string;
  readonly commands: readonly string[];
  readonly found: readonly string[];
}

/**
 * The difference between `live` and `wanted`. Each table is one transaction of iptables-restore: our chain is emptied
 * and filled in it without a moment in between, and no line of another program is named.
 */
export function planChains(wanted: readonly WantedChain[], live: SavedTables): RestorePlan {
  return plan(wanted.map((chain) => chainSteps(chain, live.get(chain.table))));
}

/** Removes chains and every jump to them. */
export function planRemoval(places: readonly ChainPlace[], live: SavedTables): RestorePlan {
  return plan(places.map((place) => removalSteps(place, live.get(place.table))));
}

/** Both: what is wanted, and the rest of our places gone. */
export function joinPlans(plans: readonly RestorePlan[]): RestorePlan {
  return { input: plans.map(({ input }) => input).join(''), found: plans.flatMap(({ found }) => found) };
}

function plan(steps: readonly Steps[]): RestorePlan {
  const busy = steps.filter(({ commands }) => commands.length > 0);
  const input = busy.map(({ table, commands }) => [`*${table}`, ...commands, 'COMMIT', ''].join('\n'));
  return { input: input.join(''), found: busy.flatMap(({ found }) => found) };
}

function chainSteps(wanted: WantedChain, table: SavedTable | undefined): Steps {
  const commands: string[] = [];
  const found: string[] = [];
  const rules = table?.get(wanted.name);
  const inPlace = wanted.rules.filter((rule, at) => rule === rules?.[at]).length;
  if (inPlace !== wanted.rules.length || rules?.length !== wanted.rules.length) {
    found.push(
      rules === undefined
        ? 'is missing'
        : `has ${rules.length} rules, ${inPlace} of the wanted ${wanted.rules.length} in their place`,
    );
    // Naming a chain of ours empties it or makes it; built-in chains are never named.
    commands.push(`:${wanted.name} - [0:0]`, ...wanted.rules.map((rule) => `-A ${wanted.name} ${rule}`));
  }
  const jump = jumpLine(wanted);
  const entries = table?.get(wanted.from) ?? [];
  const jumps = entries.filter((rule) => rule === jump).length;
  if (jumps === 0) {
    found.push(`is not jumped to from ${wanted.from}`);
    // At the end, as the original does it.
    commands.push(`-A ${wanted.from} ${jump}`);
  } else if (jumps > 1) {
    found.push(`is jumped to ${jumps} times from ${wanted.from}`);
    // By text, not by number: a number may mean another program's rule by the time it arrives.
    commands.push(...Array.from({ length: jumps }, () => `-D ${wanted.from} ${jump}`));
    commands.push(`-I ${wanted.from} ${entries.indexOf(jump) + 1} ${jump}`);
  }
  return { table: wanted.table, commands, found: found.map((what) => `${title(wanted)}: ${what}`) };
}

function removalSteps(place: ChainPlace, table: SavedTable | undefined): Steps {
  const none = { table: place.table, commands: [], found: [] };
  if (table?.has(place.name) !== true) return none;
  const commands: string[] = [];
  for (const [chain, rules] of table) {
    if (chain === place.name) continue;
    const jumps = rules.filter((rule) => leadsTo(rule, place.name));
    commands.push(...jumps.map((rule) => `-D ${chain} ${rule}`));
  }
  commands.push(`-F ${place.name}`, `-X ${place.name}`);
  return { table: place.table, commands, found: [title(place)] };
}

/** The kernel keeps a chain as long as any rule leads to it, whoever wrote that rule. */
function leadsTo(rule: string, chain: string): boolean {
  return rule.endsWith(`-j ${chain}`) || rule.endsWith(`-g ${chain}`);
}

function title({ table, name }: ChainPlace): string {
  return `${table} ${name}`;
}
