// CNI chains side by side: ours (dist/bin) and Debian's (/usr/lib/cni), interleaved in one run, each on a node and a store
// of its own, in a network and mount namespace that goes with the process.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CallFailed, makeChains, type Chain, type Verb } from './cni-chain.ts';
import { highest, watchMemory, type MemoryPeaks } from './cni-memory.ts';
import { ms, must, printTable, summarise } from './report.ts';

const AT_ONCE = 30;
const VERBS = ['ADD', 'DEL'] as const;
/** Behind a figure: its ratio to the same of either reference. */
const RATIOS = ['to A', 'to B'] as const;
/** A link that is deleted milliseconds after it was made keeps the kernel busy longer; pods live for seconds at least. */
const LIFE_MS = 3000;
const USAGE = `usage: npm run bench -- cni [--rounds n] [--at-once-rounds n]

  --rounds n          pods of each chain, one at a time (default 20, at most ${AT_ONCE})
  --at-once-rounds n  times ${AT_ONCE} pods of each chain at once (default 3)`;

type Times = Record<Verb, number[]>;

/** Each chain in turn, with another one first each time: a machine's slow moments are spread over all. */
function turns(chains: readonly Chain[], round: number): readonly Chain[] {
  const first = round % chains.length;
  return [...chains.slice(first), ...chains.slice(0, first)];
}

async function measureAlone(chains: readonly Chain[], rounds: number): Promise<ReadonlyMap<Chain, Times>> {
  const times = new Map(chains.map((chain): [Chain, Times] => [chain, { ADD: [], DEL: [] }]));
  for (const verb of VERBS) {
    for (let round = 0; round < rounds; round += 1) {
      for (const chain of turns(chains, round)) times.get(chain)?.[verb].push(chain.runAlone(verb, round));
    }
    if (verb === 'ADD') await Bun.sleep(LIFE_MS);
  }
  return times;
}

function all(chain: Chain, verb: Verb, count = AT_ONCE): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, async (_, pod) => chain.run(verb, pod)));
}

/** ms for all pods of a round. */
async function measureAtOnce(chains: readonly Chain[], rounds: number): Promise<ReadonlyMap<Chain, Times>> {
  const times = new Map(chains.map((chain): [Chain, Times] => [chain, { ADD: [], DEL: [] }]));
  for (let round = 0; round < rounds; round += 1) {
    for (const verb of VERBS) {
      for (const chain of turns(chains, round)) {
        const start = performance.now();
        await all(chain, verb);
        times.get(chain)?.[verb].push(performance.now() - start);
      }
      if (verb === 'ADD') await Bun.sleep(LIFE_MS);
    }
  }
  return times;
}

interface ChainMemory {
  readonly alone: MemoryPeaks;
  readonly atOnce: MemoryPeaks;
}

/** In a run of its own: looking takes time from those that are looked at. */
async function measureMemory(chain: Chain): Promise<ChainMemory> {
  const once = async (count: number): Promise<MemoryPeaks> => {
    const added = await watchMemory(async () => all(chain, 'ADD', count));
    return highest(added, await watchMemory(async () => all(chain, 'DEL', count)));
  };
  let alone = await once(1);
  for (let again = 0; again < 4; again += 1) alone = highest(alone, await once(1));
  return { alone, atOnce: await once(AT_ONCE) };
}

function median(sample: readonly number[]): number {
  return summarise(sample).median;
}

/** A figure of each chain, and its ratios to the two references, which come first. */
function column(values: readonly number[], show: (value: number) => string): readonly (readonly string[])[] {
  const [a = Number.NaN, b = Number.NaN] = values;
  return values.map((value) => [show(value), (value / a).toFixed(2), (value / b).toFixed(2)]);
}

function table(head: readonly string[], chains: readonly Chain[], columns: readonly Column[]): void {
  const rows = chains.map(({ name }, at) => [name, ...columns.flatMap((cells) => cells[at] ?? [])]);
  printTable([head, ...rows]);
}
type Column = readonly (readonly string[])[];

function printAlone(chains: readonly Chain[], times: ReadonlyMap<Chain, Times>): void {
  const of = (value: (times: Times) => number) =>
    column(
      chains.map((chain) => value(times.get(chain) ?? { ADD: [], DEL: [] })),
      ms,
    );
  const head = ['one pod at a time, median ms', 'ADD', ...RATIOS, 'DEL', ...RATIOS, 'ADD+DEL', ...RATIOS];
  table(head, chains, [
    of(({ ADD }) => median(ADD)),
    of(({ DEL }) => median(DEL)),
    of(({ ADD, DEL }) => median(ADD.map((add, pod) => add + (DEL[pod] ?? Number.NaN)))),
  ]);
}

function printAtOnce(chains: readonly Chain[], times: ReadonlyMap<Chain, Times>): void {
  const rate = (verb: Verb) =>
    column(
      chains.map((chain) => (AT_ONCE * 1000) / median(times.get(chain)?.[verb] ?? [])),
      (value) => value.toFixed(0),
    );
  const head = [`${AT_ONCE} at once, pods per second`, 'ADD', ...RATIOS, 'DEL', ...RATIOS];
  table(head, chains, [rate('ADD'), rate('DEL')]);
}

function printMemory(chains: readonly Chain[], memory: readonly ChainMemory[]): void {
  const cells = (value: (memory: ChainMemory) => number): Column =>
    memory.map((one) => [value(one).toFixed(0)]);
  const head = [
    'peak memory, MiB',
    'RSS',
    'own',
    'Pss, 1 pod',
    `Pss, ${AT_ONCE}`,
    `own, ${AT_ONCE}`,
    'processes',
  ];
  table(head, chains, [
    cells(({ alone }) => alone.largestRss),
    cells(({ alone }) => alone.largestAnonymous),
    cells(({ alone }) => alone.sumPss),
    cells(({ atOnce }) => atOnce.sumPss),
    cells(({ atOnce }) => atOnce.sumAnonymous),
    cells(({ atOnce }) => atOnce.processes),
  ]);
}

async function measure(
  work: string,
  { rounds, atOnceRounds }: { rounds: number; atOnceRounds: number },
): Promise<void> {
  console.log(
    `CNI chains: ${rounds} pods of each chain one at a time, ${AT_ONCE} at once ${atOnceRounds} times.\n` +
      "A: Debian's bridge (which executes host-local), then portmap with iptables: one process less than the original chain.\n" +
      "B: a stand-in for the original's flannel, which Debian has not packaged (Go, with the same CNI library), that executes\n" +
      "Debian's bridge, then portmap: as many processes as the original. Every DEL comes seconds after its ADD.\n" +
      'Memory: RSS and own (not backed by a file) of the largest process; Pss counts shared pages once, over all processes.\n',
  );
  for (const mapped of [false, true]) {
    const chains = makeChains(work, mapped);
    for (const chain of chains) {
      chain.makePods(AT_ONCE);
      // Makes the bridge and the tables, and warms the file cache.
      for (let warm = 0; warm < 2; warm += 1) for (const verb of VERBS) chain.runAlone(verb, 0);
    }
    console.log(mapped ? 'TWO PORT MAPPINGS\n' : 'NO PORT MAPPINGS\n');
    printAlone(chains, await measureAlone(chains, rounds));
    printAtOnce(chains, await measureAtOnce(chains, atOnceRounds));
    const memory: ChainMemory[] = [];
    for (const chain of chains) memory.push(await measureMemory(chain));
    printMemory(chains, memory);
  }
}

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= most) return value;
  throw new CallFailed(`--${name}: ${text} is not a number from 1 to ${most}\n${USAGE}`);
}

async function main(): Promise<number> {
  const work = mkdtempSync('/tmp/flannel-bench-');
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: 'string', default: '20' },
        'at-once-rounds': { type: 'string', default: '3' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(USAGE);
      return 0;
    }
    const rounds = count('rounds', values.rounds, AT_ONCE);
    const atOnceRounds = count('at-once-rounds', values['at-once-rounds'], 100);
    must(['mount', '--make-rprivate', '/']);
    mkdirSync('/run/netns', { recursive: true });
    must(['mount', '-t', 'tmpfs', 'tmpfs', '/run/netns']);
    await measure(work, { rounds, atOnceRounds });
    return 0;
  } catch (error) {
    if (!(error instanceof CallFailed) && !isUsage(error)) throw error;
    console.error(`bench: ${error.message}`);
    return 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function isUsage(error: unknown): error is Error {
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

process.exitCode = await main();
