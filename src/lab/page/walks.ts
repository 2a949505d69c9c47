import { FlannelError } from '#base/errors.ts';
import type { HopView, WalkView } from '#page/model.ts';
import { Refusal } from '#page/server/refusal.ts';
import { isObject } from '#subnet/fields.ts';
import type { LabState } from '../state/state.ts';
import { missingPart, placesOfWalk, type Ends } from '../walk/ends.ts';
import { explain } from '../walk/explain.ts';
import type { Hop, Journey } from '../walk/hop.ts';
import { record, type Recording } from '../walk/record.ts';
import { packetLines } from '../walk/story.ts';

/** Walks that may wait for the one that is under way: each takes about half a second. */
const WAITING = 5;
/** Longest name of a place, characters: that of a Node. */
const NAME_LIMIT = 253;

/** Sends packets through a lab, one at a time: their captures would see each other's. */
export class Walks {
  readonly #state: () => LabState;
  readonly #env: Readonly<Record<string, string>>;
  readonly #send: typeof record;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(state: () => LabState, env: Readonly<Record<string, string>>, send = record) {
    this.#state = state;
    this.#env = env;
    this.#send = send;
  }

  /** `body`: `{"from": …, "to": …}`. Throws FlannelError for other ends than the lab has, Refusal when too many wait. */
  async start(body: unknown): Promise<WalkView> {
    const ends = endsOf(body);
    const state = this.#state();
    const places = placesOfWalk(state, ends);
    if (this.#waiting > WAITING)
      throw new Refusal(
        429,
        { error: `${this.#waiting} walks are under way or waiting`, cure: 'Wait for them' },
        { 'retry-after': '1' },
      );
    this.#waiting += 1;
    const walk = this.#last.then(() => this.#send(state, { ...places, env: this.#env }));
    this.#last = walk.catch(() => {});
    try {
      return walkView(await walk, ends);
    } finally {
      this.#waiting -= 1;
    }
  }
}

function endsOf(body: unknown): Ends {
  if (isObject(body)) {
    const { from, to } = body;
    if (isName(from) && isName(to)) return { from, to };
  }
  throw new FlannelError('operator', 'a walk needs two ends', {
    cure: 'Send {"from": "n1-a", "to": "n2-a"}',
  });
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= NAME_LIMIT;
}

/** What was recorded, hop by hop. */
export function walkView(recording: Recording, ends: Ends): WalkView {
  const { request, reply } = recording.journey;
  const error = missingPart(recording, ends);
  const start = (request[0] ?? reply[0])?.time ?? 0n;
  return {
    schema: 1,
    ...ends,
    request: hopViews(request, start),
    reply: hopViews(reply, start),
    arrived: error === undefined,
    ...(error === undefined ? {} : { error }),
  };
}

function hopViews(hops: Journey['request'], start: bigint): HopView[] {
  return hops.map((hop: Hop, at) => ({
    place: { kind: hop.place.kind, name: hop.place.name },
    device: hop.device.name,
    outgoing: hop.outgoing,
    us: Number((hop.time - start) / 1000n),
    packet: packetLines(hop.packet),
    wrapped: hop.packet.vxlan !== undefined,
    why: explain(hop, hops[at - 1]),
  }));
}
