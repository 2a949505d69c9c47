import type { LabBackend } from '../command/options.ts';
import { runningLab } from '../command/running.ts';
import { placesOf, type Place } from '../process/places.ts';
import { labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { labPaths } from '../state/paths.ts';
import type { LabState } from '../state/state.ts';
import { missingPart, placesOfWalk, type Ends } from './ends.ts';
import { record } from './record.ts';
import { story } from './story.ts';

/** `lab walk`: one packet's story, or one of each kind; 0 only when every packet came there and back. */
export async function walk(name: string, ends: Ends | undefined, screen: Screen): Promise<number> {
  const state = runningLab(name);
  const env = labEnvironment(labPaths(name, process.env).folder);
  const walks = ends === undefined ? typicalWalks(state) : [ends];
  let complete = true;
  for (const [at, { from, to }] of walks.entries()) {
    const places = placesOfWalk(state, { from, to });
    if (at > 0) screen.line();
    screen.line(
      screen.paint('bold', `${from} → ${to}: ${kindOfWay(places.from, places.to, state.options.backend)}`),
    );
    const recording = await record(state, { ...places, env });
    screen.lines(story(recording.journey, screen));
    const missing = missingPart(recording, { from, to });
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
