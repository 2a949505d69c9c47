import { systemClock } from '#base/clock.ts';
import { PacketStream } from '../break/packet-stream.ts';
import { STREAM_INTERVAL_MS } from '../probe/stream.ts';
import { findPlace, type Place } from '../process/places.ts';
import type { LabState } from '../state/state.ts';
import { overflows } from './overflow.ts';

/** How long answers are waited for at the end of a step. */
const SETTLE_MS = 300;
/** When some are missing then, so long: a busy machine answers late, and an answer that comes is no loss. */
const LATE_MS = 5000;
const POLL_MS = 20;
/** A stream without an answer for so long has ended. */
const LIMIT_MS = 10_000;

export interface Count {
  readonly sent: number;
  readonly lost: number;
}

/** `flowing`: every stream still gets answers. A stream that has ended loses nothing more, and is lost altogether. */
export interface Step extends Count {
  readonly flowing: boolean;
}

/** Numbered packets from a pod of every node to a pod of the next and of the one before, and to the world, all the time. */
export class Streams implements Disposable {
  readonly #streams: readonly PacketStream[];
  readonly #ends: readonly Place[];
  readonly #overflowsBefore: number;
  #last: Count = { sent: 0, lost: 0 };

  private constructor(streams: readonly PacketStream[], ends: readonly Place[]) {
    this.#streams = streams;
    this.#ends = ends;
    this.#overflowsBefore = overflows(ends);
  }

  /** Between the first pods of the nodes: those stay. */
  static async start(state: LabState, env: Readonly<Record<string, string>>): Promise<Streams> {
    const pods = state.nodes.map(({ name }) => state.pods.find(({ node }) => node === name)?.name ?? '');
    const ways = pods.flatMap((from, at) => {
      const [next, before] = [pods[(at + 1) % pods.length] ?? '', pods.at(at - 1) ?? ''];
      return [...new Set([next, before, 'world'])].map((to) => [from, to] as const);
    });
    const started = ways.map(([from, to]) =>
      PacketStream.start({ from: findPlace(state, from), to: findPlace(state, to) }, env),
    );
    const settled = await Promise.allSettled(started);
    const ends = [...pods, 'world'].map((name) => findPlace(state, name));
    const streams = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = settled.find((each) => each.status === 'rejected');
    if (failed === undefined) return new Streams(streams, ends);
    for (const stream of streams) stream[Symbol.dispose]();
    throw failed.reason;
  }

  /** Packets a second, of all together. */
  get rate(): number {
    return (this.#streams.length * 1000) / STREAM_INTERVAL_MS;
  }

  /** What was sent and lost since the last call. */
  async since(): Promise<Step> {
    const flowing = await this.#flow();
    await systemClock.sleep(SETTLE_MS);
    let now = this.#total();
    const end = performance.now() + LATE_MS;
    while (now.lost > this.#last.lost && performance.now() < end) {
      await systemClock.sleep(POLL_MS);
      now = this.#total();
    }
    const count = { sent: now.sent - this.#last.sent, lost: now.lost - this.#last.lost };
    this.#last = now;
    return { ...count, flowing };
  }

  /** What the steps so far have cost together. */
  get judged(): Count {
    return this.#last;
  }

  #total(): Count {
    const outages = this.#streams.map((stream) => stream.outage());
    const sum = (key: 'sent' | 'lost') => outages.reduce((total, outage) => total + outage[key], 0);
    // What came to its place and was not read in time, the network has not lost.
    const unread = overflows(this.#ends) - this.#overflowsBefore;
    return { sent: sum('sent'), lost: Math.max(0, sum('lost') - unread) };
  }

  async #flow(): Promise<boolean> {
    const now = performance.timeOrigin + performance.now();
    const options = { count: 10, limitMs: LIMIT_MS };
    const answers = await Promise.all(this.#streams.map((stream) => stream.answersSince(now, options)));
    return answers.every(Boolean);
  }

  [Symbol.dispose](): void {
    for (const stream of this.#streams) stream[Symbol.dispose]();
  }
}
