import type {
  Counters,
  LabView,
  Overview,
  PeerDetail,
  PeerList,
  ProbeView,
  RulesView,
  WalkView,
} from '../../model.ts';
import { startPlayer } from '../data/player.ts';
import { Poller, type Timers } from '../data/poller.ts';
import { encode } from '../data/route.ts';
import { podKey } from '../map/node-card.ts';
import { AnswerError, ask, failureOf, type Question } from './api.ts';
import type { Asked, Store } from './state.ts';

const INTERVAL_MS = 1500;
const TIMEOUT_MS = 10_000;
/** A probe waits for echoes that may not come, a walk for a packet. */
const LONG_TIMEOUT_MS = 30_000;

/** Between two comparisons of the rules with the kernel while they are looked at. */
const RULES_MS = 6000;

const TIMERS: Timers = {
  set: (then, ms) => setTimeout(then, ms),
  clear: (timer) => clearTimeout(timer as number | undefined),
};

/** Asks the server and keeps the store up to date. */
export class Client {
  readonly #store: Store;
  readonly poller: Poller;
  #etag: string | undefined;
  #detailAt = '';
  #rulesAt = 0;
  readonly #running = new Map<string, AbortController>();

  constructor(store: Store) {
    this.#store = store;
    this.poller = new Poller({
      ask: (signal) => this.#turn(signal),
      interval: INTERVAL_MS,
      timeout: TIMEOUT_MS,
      timers: TIMERS,
      random: Math.random,
    });
  }

  async #turn(signal: AbortSignal): Promise<void> {
    try {
      if (this.#store.state.mode === 'starting') await this.#findMode(signal);
      else if (this.#store.state.mode === 'lab') this.#takeLab(await this.#askLab(signal));
      if (this.#store.state.mode === 'node') await this.#askNode(signal);
      this.#follow();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'AbortError')) {
        this.#store.set({ failure: failureOf(error) });
      }
      throw error;
    }
  }

  /** The lab answers `/api/lab` with itself, an agent with nothing. */
  async #findMode(signal: AbortSignal): Promise<void> {
    try {
      const lab = await this.#askLab(signal);
      if (lab === undefined) this.#store.set({ mode: 'node' });
      else this.#takeLab(lab);
    } catch (error) {
      const failure = error instanceof AnswerError ? error.failure : undefined;
      if (failure?.kind !== 'status' || failure.status !== 404) throw error;
      this.#store.set({ mode: 'node' });
    }
  }

  async #askLab(signal: AbortSignal): Promise<LabView | undefined> {
    const { value } = await ask<LabView>({
      path: '/api/lab',
      signal,
      lists: ['nodes', 'places'],
      schema: true,
    });
    return value;
  }

  #takeLab(lab: LabView | undefined): void {
    if (lab === undefined) return;
    const counters = new Map<string, Counters>();
    for (const { name, overview } of lab.nodes) {
      if (overview !== undefined) addCounters(counters, name, overview);
    }
    this.#store.state.meter.take(lab.now, counters);
    this.#answered({ mode: 'lab', lab });
  }

  async #askNode(signal: AbortSignal): Promise<void> {
    const { value: overview } = await ask<Overview>({
      path: '/api/overview',
      signal,
      lists: ['pods', 'unread', 'repairs'],
      schema: true,
    });
    if (overview === undefined) return;
    const counters = new Map<string, Counters>();
    addCounters(counters, overview.node?.name ?? '', overview);
    this.#store.state.meter.take(overview.now, counters);
    this.#answered({ overview });
    const { peers } = this.#store.state;
    if (overview.peers !== undefined && peers?.revision !== overview.peers.revision) {
      await this.#askPeers(signal);
    }
  }

  async #askPeers(signal: AbortSignal): Promise<void> {
    const etag = this.#etag;
    const answer = await ask<PeerList>({
      path: '/api/peers',
      signal,
      lists: ['peers'],
      schema: true,
      ...(etag === undefined ? {} : { etag }),
    });
    if (answer.value === undefined) return;
    this.#etag = answer.etag;
    this.#store.set({ peers: answer.value });
  }

  #answered(patch: Parameters<Store['set']>[0]): void {
    const { failure: _, ...rest } = { ...this.#store.state, ...patch };
    this.#store.replace({ ...rest, answeredAt: Date.now() });
  }

  /** What the view that is looked at needs besides. */
  #follow(): void {
    const { state } = this.#store;
    if (state.mode !== 'node') return;
    const now = Date.now();
    if (state.route.view === 'rules' && !state.rules.running && now - this.#rulesAt >= RULES_MS) {
      this.#rulesAt = now;
      this.loadRules();
    }
    const { name } = state.route;
    const wanted = name === undefined ? '' : `${state.peers?.revision} ${name}`;
    if (wanted === this.#detailAt) return;
    this.#detailAt = wanted;
    if (name !== undefined) this.loadDetail(name);
  }

  /** After the reader went elsewhere. */
  routed(): void {
    if (this.#store.state.answeredAt !== undefined) this.#follow();
  }

  loadRules(): void {
    const question = { path: '/api/rules', lists: ['families', 'differences'], schema: true };
    this.#once<RulesView>('rules', question, (rules) =>
      this.#store.set({ rules: keep(this.#store.state.rules, rules) }),
    );
  }

  loadDetail(name: string): void {
    const question = { path: `/api/peers/${encode(name)}`, lists: ['entries'], schema: false };
    this.#once<PeerDetail>('detail', question, (detail) => {
      const { name: known, ...before } = this.#store.state.detail;
      this.#store.set({ detail: { ...keep(known === name ? before : { running: false }, detail), name } });
    });
  }

  probe(name: string): void {
    const question = {
      path: `/api/peers/${encode(name)}/probe`,
      lists: ['results'],
      schema: false,
      post: {},
    };
    this.#once<ProbeView>('probe', question, (probe) => this.#store.set({ probe: { ...probe, name } }));
  }

  walk(from: string, to: string, playing: boolean): void {
    const question = { path: '/api/walks', lists: ['request', 'reply'], schema: true, post: { from, to } };
    this.#once<WalkView>('walk', question, (walk) => {
      const player = walk.value === undefined ? {} : { player: startPlayer(walk.value, playing) };
      this.#store.set({ walk: { ...walk, from, to, ...player } });
    });
  }

  /** Asks on demand: a later question of the same kind takes the place of an earlier one. */
  #once<T>(kind: string, question: Omit<Question, 'signal'>, told: (asked: Asked<T>) => void): void {
    this.#running.get(kind)?.abort();
    const running = new AbortController();
    this.#running.set(kind, running);
    const limit = question.post === undefined ? TIMEOUT_MS : LONG_TIMEOUT_MS;
    const timer = setTimeout(
      () => running.abort(new DOMException('no answer in time', 'TimeoutError')),
      limit,
    );
    told({ running: true });
    void ask<T>({ ...question, signal: running.signal })
      .then(
        ({ value }): Asked<T> => ({ running: false, ...(value === undefined ? {} : { value }) }),
        (error: unknown): Asked<T> => ({ running: false, failure: failureOf(error) }),
      )
      .then((asked) => {
        clearTimeout(timer);
        if (this.#running.get(kind) === running) told(asked);
      });
  }
}

/** While it is asked again, and when that failed, what was known stays. */
function keep<T>(before: Asked<T>, now: Asked<T>): Asked<T> {
  const gone = now.failure?.kind === 'status' && now.failure.status === 404;
  return before.value === undefined || gone ? now : { value: before.value, ...now };
}

function addCounters(counters: Map<string, Counters>, node: string, overview: Overview): void {
  for (const device of overview.node?.devices ?? []) {
    if (device.counters !== undefined) counters.set(`device ${node} ${device.name}`, device.counters);
  }
  for (const pod of overview.pods) {
    if (pod.counters !== undefined) counters.set(`pod ${node} ${podKey(pod)}`, pod.counters);
  }
}
