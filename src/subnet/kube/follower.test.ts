import { expect, test } from 'bun:test';
import type { Clock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import type { KubeClient, List, ListOptions, WatchOptions } from '#clients/k8s/client.ts';
import { ApiError, TransportError } from '#clients/k8s/errors.ts';
import { ALL } from '#clients/k8s/selection.ts';
import { silentObserver, type WatchEnd } from '../observer.ts';
import { Follower } from './follower.ts';
import type { NodeView } from './node.ts';

const HOUR = 3_600_000;

/** Time in which only waiting takes time: an hour passes in no time. */
class Simulated implements Clock {
  time = 0;
  now = () => this.time;
  monotonic = () => this.time;

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal?.throwIfAborted();
    this.time += ms;
  }
}

/** One watch: sends events and ends. Throws to fail. */
type Watch = (options: WatchOptions, world: World) => Promise<void> | void;
type Listing = (world: World) => { names: readonly string[]; version: string };

/** An API server as functions, a clock, and what the follower tells. */
class World {
  readonly clock = new Simulated();
  readonly lists: { at: number; version: string | undefined }[] = [];
  readonly watches: { at: number; version: string; brief: boolean | undefined }[] = [];
  readonly ends: string[] = [];
  readonly contacts: number[] = [];
  readonly lines: string[] = [];
  readonly reasons: string[] = [];
  readonly told: string[] = [];
  readonly #stop = new AbortController();

  stop(): void {
    this.#stop.abort(new Error('over'));
  }

  async run(list: Listing, watch: Watch): Promise<void> {
    const client = {
      server: 'http://api',
      list: async <T>(_: string, options: ListOptions<T>): Promise<List<T>> => {
        this.lists.push({ at: this.clock.time, version: options.resourceVersion });
        const { names, version } = list(this);
        const items = names.flatMap((name) => options.reduce(node(name, version)) ?? []);
        return { items, resourceVersion: version };
      },
      watch: async (_: string, options: WatchOptions): Promise<void> => {
        const { resourceVersion: version, brief } = options;
        this.watches.push({ at: this.clock.time, version, brief });
        await watch(options, this);
      },
    } as Partial<KubeClient> as KubeClient;
    const { clock, lines, told, reasons } = this;
    const write = (line: string) => void lines.push(line.slice(25));
    const log = createLogger({ level: 'info', format: 'text', now: () => new Date(0), write });
    const onWait = (reason: string, error?: string) => void reasons.push(error ?? reason);
    const onContact = () => void this.contacts.push(this.clock.time);
    const observer = { ...silentObserver, watchEnded: (why: WatchEnd) => void this.ends.push(why) };
    const context = {
      client,
      path: '/n',
      select: ALL,
      clock,
      log,
      random: Math.random,
      onContact,
      onWait,
      observer,
    };
    const sink = {
      begin: () => {},
      reduce: ({ name }: NodeView) => name,
      reset: (names: readonly string[]) => void told.push(`reset ${names.join()}`),
      put: ({ name }: NodeView) => void told.push(`put ${name}`),
      delete: (name: string) => void told.push(`delete ${name}`),
    };
    await new Follower<string>(context, sink).run(this.#stop.signal);
  }
}

function node(name: string, version: number | string): object {
  return { metadata: { name, resourceVersion: String(version) } };
}

const away = () =>
  new TransportError({ request: 'GET http://api/n', failure: 'refused', message: 'connection refused' });

/** The longest pauses between requests, and the number of them per second. */
function rate(requests: readonly { at: number }[], clock: Simulated): number {
  return requests.length / (clock.time / 1000);
}

test('away for an hour: asked every 7 to 15 s, told once a minute, and gone on with where it stopped', async () => {
  const world = new World();
  await world.run(
    () => ({ names: ['a'], version: '7' }),
    ({ onProgress, onEvent }, { clock }) => {
      if (clock.time < HOUR) throw away();
      onProgress?.();
      onEvent({ type: 'ADDED', object: node('b', 8) });
      world.stop();
    },
  );
  expect(world.told).toEqual(['reset a', 'put b']);
  expect(world.lists.length).toBe(1);
  expect(world.watches.every(({ version }) => version === '7')).toBe(true);
  expect(world.watches.length).toBeGreaterThan(240);
  expect(world.watches.length).toBeLessThan(500);
  const told = world.lines.filter((line) => line.includes('connection refused')).length;
  expect(told).toBeGreaterThan(45);
  expect(told).toBeLessThanOrEqual(61);
  expect(world.lines.at(-1)).toContain('the API server answers again');
});

test('every kind of failure is told by its name', async () => {
  const world = new World();
  const api = (status: number) => new ApiError({ request: 'GET /n', status, reason: '', message: '' });
  const failures = [away(), api(401), api(403), api(429), api(503)];
  await world.run(
    () => ({ names: [], version: '7' }),
    () => {
      const failure = failures.shift();
      if (failure === undefined) world.stop();
      else throw failure;
    },
  );
  expect(world.reasons.length).toBe(5);
  for (const [at, words] of ['refused', '401', '403', '429', '503'].entries())
    expect(world.reasons[at]).toContain(words);
});

test('it flaps every second: a request a second at most, and no list', async () => {
  const world = new World();
  let version = 7;
  await world.run(
    () => ({ names: [], version: '7' }),
    async ({ onEvent, onProgress }, { clock }) => {
      if (clock.time > HOUR) world.stop();
      if (Math.floor(clock.time / 1000) % 2 === 1) throw away();
      onProgress?.();
      onEvent({ type: 'MODIFIED', object: node('a', (version += 1)) });
      await clock.sleep(1000 - (clock.time % 1000));
      throw away();
    },
  );
  expect(rate(world.watches, world.clock)).toBeLessThan(1.5);
  // Coming and going are told once a minute.
  expect(world.lines.length).toBeLessThan(130);
  expect(world.lists.length).toBe(1);
});

test.each(['ends', 'breaks'])('an event and then it %s at once, for ever: no hot loop', async (how) => {
  const world = new World();
  let version = 7;
  await world.run(
    () => ({ names: [], version: '7' }),
    ({ onEvent }, { clock }) => {
      if (clock.time > HOUR) world.stop();
      onEvent({ type: 'MODIFIED', object: node('a', (version += 1)) });
      if (how === 'breaks') throw away();
    },
  );
  expect(rate(world.watches, world.clock)).toBeLessThan(0.2);
});

test('a watch that the server ends after its time is opened again at once', async () => {
  const world = new World();
  await world.run(
    () => ({ names: [], version: '7' }),
    async (_, { clock, watches }) => {
      if (watches.length > 3) world.stop();
      await clock.sleep(300_000);
    },
  );
  expect(world.watches.map(({ at }) => at)).toEqual([0, 300_000, 600_000, 900_000]);
});

test('410 for every watch: lists and watches grow rare together', async () => {
  const world = new World();
  await world.run(
    () => ({ names: ['a'], version: '7' }),
    (_, { clock }) => {
      if (clock.time > HOUR) world.stop();
      throw new ApiError({ request: 'GET /n', status: 410, reason: 'Expired', message: '' });
    },
  );
  expect(rate(world.lists, world.clock)).toBeLessThan(0.2);
  // Only the first may come from the cache of the server.
  expect(world.lists.slice(0, 3).map(({ version }) => version)).toEqual(['0', undefined, undefined]);
});

test('410 after an outage: the list does not wait as long as the outage had made the waits', async () => {
  const world = new World();
  let gone = 0;
  await world.run(
    () => ({ names: ['a'], version: '7' }),
    (_, { clock }) => {
      if (clock.time < 60_000) throw away();
      if (world.lists.length > 1) return world.stop();
      gone = clock.time;
      throw new ApiError({ request: 'GET /n', status: 410, reason: 'Expired', message: '' });
    },
  );
  expect(world.lists).toHaveLength(2);
  expect((world.lists[1]?.at ?? 0) - gone).toBeLessThanOrEqual(1000);
});

test('events told again after a cut change nothing: a dead peer stays dead', async () => {
  const world = new World();
  await world.run(
    () => ({ names: ['a', 'b'], version: '97' }),
    ({ onEvent }, { watches }) => {
      if (watches.length === 1) {
        onEvent({ type: 'DELETED', object: node('a', 98) });
        onEvent({ type: 'MODIFIED', object: node('b', 101) });
        throw away();
      }
      onEvent({ type: 'ADDED', object: node('a', 12) });
      onEvent({ type: 'MODIFIED', object: node('a', 97) });
      onEvent({ type: 'DELETED', object: node('b', 100) });
      onEvent({ type: 'MODIFIED', object: node('b', 101) });
      onEvent({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '101' } } });
      onEvent({ type: 'ADDED', object: node('c', 102) });
      world.stop();
    },
  );
  expect(world.told).toEqual(['reset a,b', 'delete a', 'put b', 'put c']);
  expect(world.watches.map(({ version }) => version)).toEqual(['97', '101']);
});

test('a server that was set back is listed anew', async () => {
  const world = new World();
  await world.run(
    ({ lists }) => (lists.length === 1 ? { names: ['a'], version: '900' } : { names: ['b'], version: '20' }),
    ({ onEvent }, { watches }) => {
      if (watches.length === 1)
        onEvent({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '12' } } });
      else world.stop();
    },
  );
  expect(world.told).toEqual(['reset a', 'reset b']);
  expect(world.lines.join('\n')).toContain('is back at version 12, we have seen 900');
});

test('versions that are no numbers mean nothing: all events count', async () => {
  const world = new World();
  await world.run(
    () => ({ names: [], version: 'zz' }),
    ({ onEvent }) => {
      for (const version of ['zy', 'aa', '0x1']) onEvent({ type: 'ADDED', object: node('a', version) });
      world.stop();
    },
  );
  expect(world.told).toEqual(['reset ', 'put a', 'put a', 'put a']);
});

test('a server without versions: everything it sends counts, and after a cut it is listed anew', async () => {
  const world = new World();
  await world.run(
    () => ({ names: ['a'], version: '' }),
    ({ onEvent }, { watches }) => {
      if (watches.length === 2) return world.stop();
      onEvent({ type: 'ADDED', object: node('b', 9) });
      onEvent({ type: 'ADDED', object: node('a', 3) });
      throw away();
    },
  );
  expect(world.told).toEqual(['reset a', 'put b', 'put a', 'reset a']);
  expect(world.watches.map(({ version }) => version)).toEqual(['', '']);
});

test('a connection that is never answered is told; one that goes silent is opened again quietly', async () => {
  const silent = () =>
    new TransportError({ request: 'GET /n', failure: 'timeout', message: 'no answer in time' });
  const world = new World();
  await world.run(
    () => ({ names: [], version: '7' }),
    ({ onProgress }, { watches }) => {
      if (watches.length === 3) return world.stop();
      if (watches.length === 1) onProgress?.();
      throw silent();
    },
  );
  expect(world.reasons).toEqual(['GET /n: no answer in time']);
  expect(world.ends).toEqual(['silent', 'failed', 'ended']);
});

test('a quiet watch is brief from then on, until something happens; none of its ends costs a wait', async () => {
  const world = new World();
  await world.run(
    () => ({ names: [], version: '7' }),
    ({ onProgress, onEvent }, { watches, clock }) => {
      onProgress?.();
      clock.time += 20_000;
      switch (watches.length) {
        case 1:
          throw new TransportError({ request: 'GET /n', failure: 'timeout', message: 'no answer in time' });
        case 2:
          return onEvent({ type: 'BOOKMARK', object: node('', 9) });
        case 3:
          return onEvent({ type: 'ADDED', object: node('b', 10) });
        default:
          return world.stop();
      }
    },
  );
  expect(world.watches.map(({ brief }) => brief)).toEqual([false, true, true, false]);
  expect(world.watches.map(({ version }) => version)).toEqual(['7', '7', '9', '10']);
  expect(world.watches.map(({ at }) => at)).toEqual([0, 20_000, 40_000, 60_000]);
  expect(world.ends).toEqual(['silent', 'ended', 'ended', 'ended']);
  // Not when the brief ones are accepted, at 20 and 40 s: only when they end in good order.
  expect(world.contacts).toEqual([0, 40_000, 60_000, 60_000, 80_000]);
  expect(world.reasons).toEqual([]);
});
