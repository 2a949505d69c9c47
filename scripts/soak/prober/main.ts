// Packets between pods, all the time: a process of its own, so that nothing else that the soak does disturbs their rhythm.
import { writeSync } from 'node:fs';
import { epoch, type ProbeReport, type ProbeSet } from './protocol.ts';
import { PlaceSockets } from './sockets.ts';
import { Stream } from './stream.ts';

/** Time between two questions of a pair, ms. */
const INTERVAL = 20;
/** A question without an answer after so many intervals is lost: a neighbour that does not answer is asked for 3 s. */
const PATIENCE = 100;
/** Intervals between two reports. */
const REPORT = 12;

class Prober {
  readonly #places = new Map<string, { netns: string; sockets: PlaceSockets }>();
  #streams = new Map<string, Stream>();
  #tick = 0;
  #last = epoch();
  #sent = 0;
  #answered = 0;
  #lag = 0;
  readonly #sentAt: number[] = [];

  /** Keeps what is as before: its packets go on. */
  async set({ places, pairs }: ProbeSet): Promise<void> {
    const wanted = new Map(places.map((place) => [place.name, place.netns]));
    for (const [name, { netns, sockets }] of this.#places) {
      if (wanted.get(name) === netns) continue;
      sockets[Symbol.dispose]();
      this.#places.delete(name);
    }
    for (const { name, netns } of places) {
      if (this.#places.has(name)) continue;
      const onAnswer = (pair: string, number: number) => this.#take(pair, number);
      this.#places.set(name, { netns, sockets: await PlaceSockets.open(netns, onAnswer) });
    }
    const old = this.#streams;
    this.#streams = new Map(
      pairs.map((pair) => {
        const before = old.get(pair.id);
        return [pair.id, before?.pair.address === pair.address ? before : new Stream(pair)];
      }),
    );
  }

  start(): void {
    setInterval(() => this.#once(), INTERVAL);
  }

  #once(): void {
    const now = epoch();
    this.#lag = Math.max(this.#lag, now - this.#last - INTERVAL);
    this.#last = now;
    this.#tick += 1;
    this.#sentAt.push(now);
    if (this.#sentAt.length > PATIENCE) this.#sentAt.shift();
    for (const stream of this.#streams.values()) {
      stream.judge(this.#tick - PATIENCE);
      const { id, from, address, freshPort } = stream.pair;
      // A tenth of the rhythm where every question takes a socket.
      if (freshPort && this.#tick % 10 !== 0) continue;
      const number = stream.send(this.#tick);
      this.#sent += 1;
      this.#places.get(from)?.sockets.ask({ pair: id, number, address, freshPort });
    }
    if (this.#tick % REPORT === 0) this.#report();
  }

  #take(pair: string, number: number): void {
    if (this.#streams.get(pair)?.answered(number) === true) this.#answered += 1;
  }

  #report(): void {
    const report: ProbeReport = {
      judged: this.#sentAt.length < PATIENCE ? 0 : (this.#sentAt[0] ?? 0),
      sent: this.#sent,
      answered: this.#answered,
      lag: Math.round(this.#lag),
      losses: [...this.#streams.values()].flatMap((stream) => stream.takeLosses()),
    };
    this.#lag = 0;
    writeSync(1, `${JSON.stringify(report)}\n`);
  }
}

const prober = new Prober();
prober.start();
let rest = '';
const decoder = new TextDecoder();
for await (const chunk of Bun.stdin.stream()) {
  const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    await prober.set(JSON.parse(line) as ProbeSet);
    writeSync(1, '{"set":true}\n');
  }
}
process.exit(0);
