import { FlannelError } from '#base/errors.ts';
import { findPlace, type Place } from '../process/places.ts';
import type { LabState } from '../state/state.ts';
import type { Recording } from './record.ts';

/** Where a walk begins and ends, by name. */
export interface Ends {
  readonly from: string;
  readonly to: string;
}

/** The places of a walk. Throws FlannelError with the names that there are, for a place that it cannot begin or end at. */
export function placesOfWalk(
  state: LabState,
  { from, to }: Ends,
): { readonly from: Place & { kind: 'pod' }; readonly to: Place } {
  const [start, end] = [findPlace(state, from), findPlace(state, to)];
  if (start.kind !== 'pod')
    throw new FlannelError('operator', `${from} is not a pod: a walk begins in a pod`, {
      cure: `Pods: ${state.pods.map((pod) => pod.name).join(', ')}`,
    });
  if (start.name === end.name) throw new FlannelError('operator', 'a walk needs two different ends');
  return { from: start, to: end };
}

/** What keeps the recording from being a whole story; undefined when nothing does. */
export function missingPart({ journey, result }: Recording, { from, to }: Ends): string | undefined {
  if (!result.ok) return `no answer: ${result.error}`;
  if (!journey.request.some((hop) => hop.place.name === to)) return `the packet was not seen at ${to}`;
  if (!journey.reply.some((hop) => hop.place.name === from)) return `the answer was not seen at ${from}`;
  return undefined;
}
