import { isDeepStrictEqual } from 'node:util';
import { runningLab } from '../command/running.ts';
import type { UpOptions } from '../command/options.ts';
import { runAndRemove } from '../command/tour.ts';
import { labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { referenceFolder } from '../serve/pods.ts';
import { labPaths } from '../state/paths.ts';
import type { NodeState } from '../state/state.ts';
import { runChecks } from '../verify/main.ts';
import { Hands } from './hands.ts';
import { KernelWatch } from './kernel-watch.ts';
import { StepTable } from './step-table.ts';
import { Streams } from './streams.ts';

/**
 * `lab migrate`: a cluster of the original is taken over node by node and given back, while packets flow between all nodes; 0 when
 * not one was lost and nothing was written into any kernel.
 */
export function migrate(options: UpOptions, screen: Screen): Promise<number> {
  const plugins = referenceFolder();
  screen.line(
    plugins === undefined
      ? "the original's pods are wired by our own plugins: Debian's containernetworking-plugins is not installed"
      : `the original's pods are wired by the reference plugins in ${plugins}`,
  );
  return runAndRemove({ options, original: true }, screen, async (title) => {
    title('migrate');
    return migration(options.name, screen);
  });
}

interface Scene {
  readonly hands: Hands;
  readonly streams: Streams;
  readonly watches: ReadonlyMap<string, KernelWatch>;
  readonly table: StepTable;
  readonly published: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

async function migration(name: string, screen: Screen): Promise<boolean> {
  const state = runningLab(name);
  const paths = labPaths(name, process.env);
  const env = labEnvironment(paths.folder);
  const hands = new Hands(paths.hands);
  using stack = new DisposableStack();
  const watches = new Map<string, KernelWatch>();
  const published = new Map<string, Readonly<Record<string, string>>>();
  for (const node of state.nodes) {
    watches.set(node.name, stack.use(await KernelWatch.start(node, state, env)));
    published.set(node.name, await hands.annotations(node.name));
  }
  const streams = stack.use(await Streams.start(state, env));
  const table = new StepTable(screen);
  screen.line(`packets between all nodes and to the world: ${streams.rate} a second\n`);
  table.head();
  const scene = { hands, streams, watches, table, published };
  await step(scene, { node: 'all', what: 'the original as it was recorded' }, () => Promise.resolve());
  for (const node of state.nodes) await takeOver(scene, node, podToReplace(name, node));
  await verified(scene, name);
  for (const node of state.nodes) await giveBack(scene, node, podToReplace(name, node));
  await verified(scene, name);
  const { sent, lost } = streams.judged;
  screen.line(`\n${sent} packets sent, ${lost} lost; ${table.failed} of ${table.count} steps failed`);
  return lost === 0 && table.failed === 0;
}

/** The node's last pod: the streams end at the first. */
function podToReplace(lab: string, node: NodeState): string {
  return runningLab(lab).pods.findLast((pod) => pod.node === node.name)?.name ?? '';
}

async function takeOver(scene: Scene, { name }: NodeState, pod: string): Promise<void> {
  await step(scene, { node: name, what: 'our agent starts and is ready' }, () =>
    scene.hands.startAgent(name),
  );
  await step(scene, { node: name, what: `${pod} deleted and made anew by our plugins` }, async () => {
    await scene.hands.replacePod(pod, 'ours');
  });
}

async function giveBack(scene: Scene, { name }: NodeState, pod: string): Promise<void> {
  await step(scene, { node: name, what: 'our agent stops' }, async () => {
    const code = await scene.hands.stopAgent(name);
    return code === 0 ? [] : [`flanneld ended with ${code}`];
  });
  await step(scene, { node: name, what: `${pod} deleted and made anew by the original's` }, async () => {
    await scene.hands.replacePod(pod, 'original');
  });
}

/** Every check of `verify`, with real packets between all pods, nodes and the world. */
async function verified(scene: Scene, name: string): Promise<void> {
  await step(scene, { node: 'all', what: 'verify' }, async () => {
    const verdicts = await runChecks(runningLab(name));
    return verdicts.filter(({ ok }) => !ok).map(({ title }) => `does not hold: ${title}`);
  });
}

interface Named {
  readonly node: string;
  readonly what: string;
}

/** Does one thing and tells what became of kernels, annotations and packets meanwhile; of all nodes, since it must touch none. */
async function step(scene: Scene, named: Named, act: () => Promise<readonly string[] | void>): Promise<void> {
  const { streams, watches, hands, published, table } = scene;
  const changes = [...((await act()) ?? [])];
  const { sent, lost, flowing } = await streams.since();
  if (!flowing) changes.push('packets have stopped');
  for (const [node, watch] of watches) {
    const where = node === named.node ? '' : `${node}: `;
    changes.push(...(await watch.changes()).map((line) => where + line));
    if (!isDeepStrictEqual(await hands.annotations(node), published.get(node)))
      changes.push(`${where}annotations of the Node changed`);
  }
  table.row({ ...named, changes, sent, lost });
}
