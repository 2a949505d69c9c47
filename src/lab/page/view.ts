import type { LabView } from '#page/model.ts';
import { placesOf } from '../process/places.ts';
import type { LabState } from '../state/state.ts';
import { lookAt } from './node.ts';

/** All nodes of a lab at once. */
export async function labView(state: LabState): Promise<LabView> {
  return {
    schema: 1,
    name: state.options.name,
    now: Date.now(),
    backend: state.options.backend,
    nodes: await Promise.all(state.nodes.map((node) => lookAt(node, state.pods))),
    places: placesOf(state).flatMap(({ kind, name }) => (kind === 'underlay' ? [] : [name])),
  };
}
