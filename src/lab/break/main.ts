import { systemClock } from '#base/clock.ts';
import { FlannelError } from '#base/errors.ts';
import type { FaultName, LabCommand } from '../command/options.ts';
import { runningLab } from '../command/running.ts';
import { findPlace, type Place } from '../process/places.ts';
import { labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { labPaths } from '../state/paths.ts';
import { readState, type LabState, type NodeState } from '../state/state.ts';
import { runChecks } from '../verify/main.ts';
import { agentBack, killAgent } from './agent.ts';
import { CUT_MS, newNodeReachesAll, oldNodeLeavesAll } from './api.ts';
import { Control } from './control.ts';
import { breakKernel } from './faults.ts';
import { PacketStream } from './packet-stream.ts';
import { missingFrom, takeSnapshot } from './snapshot.ts';

/** After this the lab gives up waiting for a repair. */
const LIMIT_MS = 30_000;
/** Time between two looks at the kernel. */
const POLL_MS = 5;
/** Lines of what was broken that are shown. */
const SHOWN = 4;

interface Scene {
  readonly state: LabState;
  readonly node: NodeState;
  /** Where the packets between nodes go. */
  readonly peer: NodeState;
  readonly env: Readonly<Record<string, string>>;
  readonly control: Control;
  readonly screen: Screen;
  readonly statePath: string;
}

/** `lab break <fault>`: breaks it and shows how long until all is well; 0 when it is. */
export async function breakAndWait(
  command: LabCommand & { readonly command: 'break' },
  screen: Screen,
): Promise<number> {
  const state = runningLab(command.name);
  const paths = labPaths(command.name, process.env);
  const node = chosenNode(state, command.node);
  const scene: Scene = {
    state,
    node,
    peer: otherNode(state, node),
    env: labEnvironment(paths.folder),
    control: new Control(paths.control),
    screen,
    statePath: paths.state,
  };
  const ends = streamEnds(scene, command.fault);
  using stream = await PacketStream.start(ends, scene.env);
  const healed = await breakAndHeal(command.fault, scene);
  // Packets that come through now were sent into the repaired network.
  const now = performance.timeOrigin + performance.now();
  const flowing = await stream.answersSince(now, { count: 10, limitMs: LIMIT_MS });
  const { sent, lost, gapMs } = stream.outage();
  const loss = lost === 0 ? 'none lost' : `${lost} lost in ${Math.round(gapMs)} ms`;
  screen.line(
    `  packets ${ends.from.name} → ${ends.to.name}: ${sent} sent, ${flowing ? loss : 'no more answers'}`,
  );
  return (await verifyHolds(scene)) && healed && flowing ? 0 : 1;
}

function chosenNode(state: LabState, name: string | undefined): NodeState {
  const place = findPlace(state, name ?? state.nodes[0]?.name ?? '');
  if (place.kind === 'node') return place.node;
  throw new FlannelError('operator', `${place.name} is not a node`);
}

function otherNode(state: LabState, node: NodeState): NodeState {
  const other = state.nodes.find(({ name }) => name !== node.name);
  if (other !== undefined) return other;
  throw new FlannelError(
    'operator',
    `lab ${state.options.name} has one node only: nothing between nodes can break`,
    {
      cure: 'Start one with --nodes 2 or more',
    },
  );
}

/** The way that the fault cuts: rules show on the way out of the cluster, all else between the nodes. */
function streamEnds({ state, node, peer }: Scene, fault: FaultName): { from: Place; to: Place } {
  const podOf = ({ name }: NodeState) => state.pods.find((pod) => pod.node === name)?.name ?? '';
  return {
    from: findPlace(state, podOf(node)),
    to: findPlace(state, fault === 'rules' ? 'world' : podOf(peer)),
  };
}

async function breakAndHeal(fault: FaultName, scene: Scene): Promise<boolean> {
  switch (fault) {
    case 'agent':
      return healAgent(scene);
    case 'api':
      return healApi(scene);
    default: {
      const { node, screen, env, state } = scene;
      const options = { place: findPlace(state, node.name), traffic: state.traffic, env };
      const before = await takeSnapshot(options);
      const done = await breakKernel(fault, { node, peer: scene.peer, traffic: state.traffic, env });
      const start = performance.now();
      screen.line(`${screen.paint('bold', `break ${fault}`)} on ${node.name}: ${done}`);
      const broken = missingFrom(before, await takeSnapshot(options));
      showBroken(broken, screen);
      return timed(scene, { what: "the kernel holds all of flanneld's entries again", start }, async () => {
        return missingFrom(before, await takeSnapshot(options)).length === 0;
      });
    }
  }
}

function showBroken(broken: readonly string[], screen: Screen): void {
  for (const line of broken.slice(0, SHOWN))
    screen.line(screen.paint('yellow', `  gone: ${line.slice(0, 140)}`));
  if (broken.length > SHOWN) screen.line(`  gone: and ${broken.length - SHOWN} more`);
  if (broken.length === 0) screen.line('  repaired before it could be looked at');
}

async function healAgent(scene: Scene): Promise<boolean> {
  const { node, screen, control, statePath } = scene;
  const start = performance.now();
  screen.line(`${screen.paint('bold', 'break agent')} on ${node.name}: ${killAgent(node)}`);
  const back = await agentBack({ control, node, state: () => readState(statePath) }, LIMIT_MS);
  return report(scene, { what: 'another flanneld runs and is ready', start, ok: back });
}

async function healApi(scene: Scene): Promise<boolean> {
  const { screen, control, state } = scene;
  await control.cut(CUT_MS);
  const start = performance.now();
  screen.line(`${screen.paint('bold', 'break api')}: every connection refused for ${CUT_MS / 1000} s`);
  const verdicts = await runChecks(state);
  const held = verdicts.every(({ ok }) => ok);
  report(scene, { what: 'meanwhile every check held', start, ok: held });
  await systemClock.sleep(Math.max(0, CUT_MS - (performance.now() - start)));
  const back = performance.now();
  try {
    const ok = await newNodeReachesAll(control, state, LIMIT_MS);
    report(scene, { what: 'a node added behind the cut is in every kernel', start: back, ok });
    return ok && held;
  } finally {
    const gone = performance.now();
    const ok = await oldNodeLeavesAll(control, state, LIMIT_MS);
    report(scene, { what: 'and is gone everywhere when it is deleted', start: gone, ok });
  }
}

interface Timed {
  readonly what: string;
  readonly start: number;
}

async function timed(scene: Scene, timing: Timed, holds: () => Promise<boolean>): Promise<boolean> {
  let ok = await holds();
  while (!ok && performance.now() - timing.start < LIMIT_MS) {
    await systemClock.sleep(POLL_MS);
    ok = await holds();
  }
  return report(scene, { ...timing, ok });
}

function report({ screen }: Scene, { what, start, ok }: Timed & { readonly ok: boolean }): boolean {
  const ms = Math.round(performance.now() - start);
  screen.line(
    ok
      ? screen.paint('green', `  after ${ms} ms ${what}`)
      : screen.paint('red', `  not within ${ms} ms: ${what}`),
  );
  return ok;
}

/** The full verify, again and again until it holds. */
async function verifyHolds(scene: Scene): Promise<boolean> {
  const start = performance.now();
  for (;;) {
    const verdicts = await runChecks(scene.state);
    const failed = verdicts.filter(({ ok }) => !ok);
    const late = performance.now() - start > LIMIT_MS;
    if (failed.length > 0 && !late) continue;
    for (const { title, failures } of failed) scene.screen.line(`  ${title}: ${failures[0] ?? ''}`);
    const held = `verify: ${verdicts.length - failed.length} of ${verdicts.length} checks held`;
    scene.screen.line(scene.screen.paint(failed.length === 0 ? 'green' : 'red', `  ${held}`));
    return failed.length === 0;
  }
}
