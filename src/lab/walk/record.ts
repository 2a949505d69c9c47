import { systemClock } from '#base/clock.ts';
import { askAll } from '../probe/ask.ts';
import type { ProbeResult } from '../probe/exchange.ts';
import { addressOf, enterArgv, openNetns, placesOf, type Place } from '../process/places.ts';
import { ECHO_PORT, VXLAN_PORT } from '../state/address-plan.ts';
import type { LabState } from '../state/state.ts';
import { Capture, SETTLE_MS } from './capture-process.ts';
import { journeyOf, type Journey } from './hop.ts';
import type { Spot } from './spot.ts';

export interface Walk {
  readonly from: Place;
  readonly to: Place;
  readonly env: Readonly<Record<string, string>>;
}

export interface Recording {
  readonly journey: Journey;
  readonly result: ProbeResult;
}

/** Sends one datagram from `from` to the echo server of `to` and records it on every device on its way. */
export async function record(state: LabState, walk: Walk): Promise<Recording> {
  const token = `walk-${crypto.randomUUID()}`;
  const places = placesOnTheWay(state, walk);
  const options = { token, env: walk.env, vxlanPort: VXLAN_PORT };
  const captures = await Promise.all(places.map((place) => Capture.start(spotOf(place), options)));
  try {
    const request = { proto: 'udp', host: addressOf(walk.to), port: ECHO_PORT, text: token } as const;
    const [result] = await askAll([{ from: walk.from, request }], walk.env);
    await systemClock.sleep(SETTLE_MS);
    const hops = (await Promise.all(captures.map((capture) => capture.hops()))).flat();
    return { journey: journeyOf(hops), result: result ?? { ok: false, error: 'not asked' } };
  } finally {
    for (const capture of captures) capture.stop();
  }
}

/** Both ends, the nodes they live on, and what lies between. */
function placesOnTheWay(state: LabState, { from, to }: Walk): Place[] {
  const nodes = [from, to].flatMap((end) =>
    end.kind === 'pod' ? [{ kind: 'node', name: end.node.name, node: end.node } as const] : [],
  );
  const underlay = placesOf(state).filter((place) => place.kind === 'underlay');
  const all: Place[] = [from, to, ...nodes, ...underlay];
  return [...new Map(all.map((place) => [place.name, place])).values()];
}

function spotOf(place: Place): Spot {
  const { kind, name } = place;
  return { kind, name, enter: (argv) => enterArgv(place, argv), openNetns: () => openNetns(place) };
}
