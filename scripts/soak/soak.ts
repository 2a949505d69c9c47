import { systemClock } from '#base/clock.ts';
import { describe, FlannelError } from '#base/errors.ts';
import type { Screen } from '#lab/report/screen.ts';
import { kindsNamed } from './catalogue.ts';
import { Checker } from './check.ts';
import type { Cluster } from './cluster.ts';
import type { SoakOptions } from './options.ts';
import { Random } from './random.ts';
import { growthOf, progressLine, summaryLines } from './report.ts';
import { Rounds, SoakFailure } from './rounds.ts';
import { slowKinds } from './repairs.ts';
import type { Stage } from './stage.ts';

/** The first agents of the run may take this long, ms. */
const START_LIMIT = 60_000;
/** The prober knows the fate of a packet after this, ms. */
const JUDGED_AFTER = 3500;
const PROGRESS = 10_000;
/** Lines of an agent's log that a failure shows. */
const TAIL = 40;

export interface SoakParts {
  readonly options: SoakOptions;
  readonly stage: Stage;
  readonly screen: Screen;
}

/** Runs it; the exit code is 0 when nothing was found. */
export async function runSoak(parts: SoakParts): Promise<number> {
  const { options, stage, screen } = parts;
  let cluster: Cluster | undefined;
  try {
    cluster = await stage.build(options);
    const checker = new Checker(cluster);
    const rounds = new Rounds({
      cluster,
      checker,
      ledger: stage.ledger,
      random: new Random(options.seed),
      kinds: kindsNamed(options.faults),
      takeStall: () => stage.takeStall(),
    });
    await Promise.race([endure(parts, { cluster, checker, rounds }), stage.death]);
    screen.lines(summaryLines({ stage, rounds: rounds.done, looks: checker.looks, options }));
    const found = [...slowKinds(rounds.done), ...growthOf(stage.samples, options.minutes * 60)];
    for (const text of found) screen.line(`FAILED: ${text} (seed ${options.seed})`);
    if (found.length === 0) screen.line(`the overlay held (seed ${options.seed})`);
    return found.length === 0 ? 0 : 1;
  } catch (error) {
    tellFailure(error, { ...parts, cluster });
    if (options.hold && cluster !== undefined) await hold(cluster, screen);
    return 1;
  }
}

interface Running {
  readonly cluster: Cluster;
  readonly checker: Checker;
  readonly rounds: Rounds;
}

async function endure(parts: SoakParts, running: Running): Promise<void> {
  const { options, stage, screen } = parts;
  const { cluster, rounds } = running;
  await settle(running);
  const took = stage.elapsed.toFixed(1);
  screen.line(`${cluster.nodes.length} nodes as planned, all pods answer each other (${took} s)`);
  if (options.sabotage) {
    cluster.nodes[1]?.agent?.freeze();
    screen.line(`sabotage: the agent of ${cluster.nodes[1]?.name} does nothing any more`);
  }
  let told = performance.now();
  while (stage.elapsed < options.minutes * 60) {
    await rounds.once();
    stage.sample(true);
    if (performance.now() - told < PROGRESS) continue;
    told = performance.now();
    screen.line(progressLine(stage, rounds.done));
  }
  await finish(running);
}

/** Agents and pods, and then as planned. */
async function settle({ cluster, checker, rounds }: Running): Promise<void> {
  for (const { agent } of cluster.nodes) agent?.start();
  await Promise.all(cluster.nodes.map((node) => cluster.addPod(node)));
  await checker.learnRules(performance.now() + START_LIMIT);
  const problems = await checker.converge(performance.now() + START_LIMIT);
  if (problems.length > 0)
    throw new SoakFailure('the overlay does not come up', {
      details: problems.map(({ node, text }) => `${node}: ${text}`),
      nodes: problems.map(({ node }) => node),
    });
  await cluster.probe();
  await systemClock.sleep(JUDGED_AFTER);
  rounds.judge();
}

/** Nothing is under way any more: as planned at once, and it stays when the agents end. */
async function finish({ cluster, checker, rounds }: Running): Promise<void> {
  await systemClock.sleep(JUDGED_AFTER);
  rounds.judge();
  const problems = await checker.problems();
  if (problems.length > 0)
    throw new SoakFailure('the overlay is not as planned at the end', {
      details: problems.map(({ node, text }) => `${node}: ${text}`),
      nodes: problems.map(({ node }) => node),
    });
  const codes = await Promise.all(cluster.nodes.map(async ({ agent }) => agent?.stop('SIGTERM')));
  if (codes.some((code) => code !== 0))
    throw new SoakFailure(`agents end with ${codes.join(', ')} after SIGTERM`, {
      nodes: cluster.nodes.filter((_, at) => codes[at] !== 0).map(({ name }) => name),
    });
  await systemClock.sleep(JUDGED_AFTER);
  rounds.judge();
}

/** Never returns: Ctrl-C ends it. */
async function hold(cluster: Cluster, screen: Screen): Promise<never> {
  screen.line('everything stays until Ctrl-C; to look at a node:');
  for (const { name, pid } of cluster.nodes) screen.line(`  ${name}: nsenter -t ${pid} --net --mount`);
  return new Promise<never>(() => {});
}

function tellFailure(
  error: unknown,
  { options, screen, cluster }: SoakParts & { cluster: Cluster | undefined },
): void {
  if (!(error instanceof Error)) throw new FlannelError('bug', String(error));
  screen.line(`FAILED: ${describe(error)}`);
  const { details, nodes } =
    error instanceof SoakFailure
      ? error
      : { details: [], nodes: cluster?.nodes.map(({ name }) => name) ?? [] };
  screen.lines(details.map((line) => `  ${line}`));
  if (!(error instanceof SoakFailure) && error.stack !== undefined) screen.line(error.stack);
  for (const node of cluster?.nodes ?? []) {
    if (!nodes.includes(node.name)) continue;
    screen.line(`log of flanneld on ${node.name}, its end:`);
    screen.lines((node.agent?.logTail(TAIL) ?? []).map((line) => `  ${line}`));
  }
  const { seed, backend, families, traffic, nodes: count } = options;
  const same = `--seed ${seed} --nodes ${count} --backend ${backend} --families ${families} --traffic ${traffic}`;
  screen.line(`seed ${seed}: npm run soak -- ${same} repeats the faults of this run`);
}
