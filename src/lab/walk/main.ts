import { FlannelError } from '#base/errors.ts';
import type { LabBackend } from '../command/options.ts';
import { runningLab } from '../command/running.ts';
import { findPlace, placesOf, type Place } from '../process/places.ts';
import { labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { labPaths } from '../state/paths.ts';
import type { LabState } from '../state/state.ts';
import { record, type Recording } from './record.ts';
import { story } from './story.ts';

export interface Ends {
  readonly from: string;
  readonly to: string;
}

/** `lab walk`: one packet's story, or one of each kind; 0 only when every packet came there and back. */
export async function walk(name: string, ends: Ends | undefined, screen: Screen): Promise<number> {
  const state = runningLab(name);
  const env = labEnvironment(labPaths(name, process.env).folder);
  const walks = ends === undefined ? typicalWalks(state) : [ends];
  let complete = true;
  for (const [at, { from, to }] of walks.entries()) {
    const [start, end] = [findPlace(state, from), findPlace(state, to)];
    if (start.kind !== 'pod')
      throw new FlannelError('operator', `${from} is not a pod: a walk begins in a pod`, {
        cure: `Pods: ${state.pods.map((pod) => pod.name).join(', ')}`,
      });
    if (start.name === end.name) throw new FlannelError('operator', 'a walk needs two different ends');
    if (at > 0) screen.line();
    screen.line(screen.paint('bold', `${from} → ${to}: ${kindOfWay(start, end, state.options.backend)}`));
    const recording = await record(state, { from: start, to: end, env });
    screen.lines(story(recording.journey, screen));
    const missing = missingPart(recording, { from: start, to: end });
    complete &&= missing === undefined;
    if (missing !== undefined) screen.line(screen.paint('red', `    ${missing}`));
  }
  return complete ? 0 : 1;
}

/** One pair of ends of each kind that this lab has. */
export function typicalWalks(state: LabState): Ends[] {
  const pods = placesOf(state).filter((place) => place.kind === 'pod');
  const [first] = pods;
  if (first === undefined) return [];
  const neighbour = pods.find((pod) => pod !== first && pod.node.name === first.node.name);
  const remote = pods.find((pod) => pod.node.name !== first.node.name);
  const ends = [neighbour?.name, remote?.name, 'world'];
  return ends.flatMap((to) => (to === undefined ? [] : [{ from: first.name, to }]));
}

function kindOfWay(from: Place & { kind: 'pod' }, to: Place, backend: LabBackend): string {
  if (to.kind === 'pod' && to.node.name === from.node.name) return 'the same node, over the bridge cni0';
  if (to.kind === 'pod')
    return backend === 'vxlan' ? 'another node, through the VXLAN overlay' : 'another node, by a route to it';
  if (to.kind === 'world') return 'the outside world, masqueraded';
  return to.name === from.node.name
    ? "its own node's host network"
    : "another node's host network, masqueraded";
}

/** What keeps the recording from being a whole story; undefined when nothing does. */
function missingPart({ journey, result }: Recording, ends: { from: Place; to: Place }): string | undefined {
  if (!result.ok) return `no answer: ${result.error}`;
  if (!journey.request.some((hop) => hop.place.name === ends.to.name))
    return `the packet was not seen at ${ends.to.name}`;
  if (!journey.reply.some((hop) => hop.place.name === ends.from.name))
    return `the answer was not seen at ${ends.from.name}`;
  return undefined;
}
