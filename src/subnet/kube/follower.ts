import { FlannelError } from '#base/errors.ts';
import type { KubeClient, WatchEvent } from '#clients/k8s/client.ts';
import { ApiError, isGone, TransportError } from '#clients/k8s/errors.ts';
import type { Selection } from '#clients/k8s/selection.ts';
import { NODE_SHAPE, type NodeView, parseNode } from './node.ts';
import { Complaint, type RetryContext, Waits } from '../retry.ts';

export interface FollowerOptions extends RetryContext {
  readonly client: KubeClient;
  /** The collection, e.g. `/api/v1/nodes`. */
  readonly path: string;
  readonly select: Selection;
  /** Called whenever the API server was heard of. */
  readonly onContact: () => void;
}

export interface FollowerSink<T> {
  /** A list begins. */
  begin(): void;
  /** Reduces one Node of the list; undefined drops it. */
  reduce(node: NodeView): T | undefined;
  /** The list is complete. */
  reset(items: readonly T[]): void;
  put(node: NodeView): void;
  delete(name: string): void;
}

/** A watch that lived this long and ended in order is opened again at once, ms. */
const GOOD = 10_000;
/** One that lived at least this long, and as long as we waited for it or `SOUND`, ends the growth of the waits, ms. */
const FAIR = 1000;
const SOUND = 3000;

/** Before a list because the history is gone only this much is waited, at most, ms... */
const RELIST = 1000;
/** ... when the last list is at least so old, ms: all nodes of a cluster do it at once, a server in trouble is spared. */
const LIST_AGE = 10_000;

/** Lists and watches Nodes for ever: resumes where it stopped, lists again when the history is gone. */
export class Follower<T> {
  readonly #options: FollowerOptions;
  readonly #sink: FollowerSink<T>;
  readonly #waits: Waits;
  readonly #complaint: Complaint;
  /** Where the watch goes on; undefined: list first. */
  #version: string | undefined;
  /** Little happens: the last watch went silent. */
  #quiet = false;
  /** The server has said something since the request under way was sent. */
  #heard = false;
  /** The first list may come from the API server's cache, as kubelets do it: a whole cluster may be starting. */
  #listed = false;
  /** When the last list was complete, monotonic ms. */
  #listedAt = Number.NEGATIVE_INFINITY;

  constructor(options: FollowerOptions, sink: FollowerSink<T>) {
    this.#options = options;
    this.#sink = sink;
    this.#waits = new Waits(options, { initial: 500, max: 15_000 });
    this.#complaint = new Complaint(options);
  }

  /** Resolves when `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, observer, log } = this.#options;
    for (let waited = 0; !signal.aborted;) {
      let failure: unknown;
      let failed = false;
      const started = clock.monotonic();
      const version = this.#version;
      try {
        this.#heard = false;
        if (version === undefined) {
          await this.#list(signal);
          continue;
        }
        await this.#watch(version, signal);
        observer.watchEnded('ended');
      } catch (error) {
        const silent = this.#isSilence(error);
        failed = !silent;
        failure = error;
        if (silent && version !== undefined) {
          // Cut on purpose: it finds a dead peer, and a quiet server is asked for a bookmark.
          this.#quiet = true;
          observer.watchEnded('silent');
          log.debug('the watch was silent and is opened again');
        } else if (!signal.aborted) this.#failed(error, version !== undefined);
      }
      const now = clock.monotonic();
      // A server that sends one event and hangs up must not be asked without pause.
      if (version !== undefined && now - started >= Math.max(FAIR, Math.min(waited, SOUND)))
        this.#waits.reset();
      if (!failed && now - started >= GOOD) continue;
      // Rejects only when aborted, which ends the loop.
      await this.#wait(signal, failure).catch(() => {});
      waited = clock.monotonic() - now;
    }
  }

  async #wait(signal: AbortSignal, failure: unknown): Promise<void> {
    const { clock, random } = this.#options;
    // The server works: what was waited for in vain before has nothing to do with it.
    if (isGone(failure) && clock.monotonic() - this.#listedAt >= LIST_AGE)
      await clock.sleep(RELIST * (0.5 + random() / 2), signal);
    else await this.#waits.sleep(signal, failure);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, path, select, onContact, log, clock, observer } = this.#options;
    const started = clock.monotonic();
    this.#sink.begin();
    const list = await client.list(path, {
      select,
      shape: NODE_SHAPE,
      signal,
      onProgress: () => {
        this.#heard = true;
        onContact();
      },
      ...(!this.#listed && { resourceVersion: '0' }),
      reduce: (item) => {
        const node = parseNode(item);
        return node === undefined ? undefined : this.#sink.reduce(node);
      },
    });
    this.#version = list.resourceVersion;
    this.#listed = true;
    this.#listedAt = clock.monotonic();
    observer.listed();
    this.#complaint.over('the API server answers again');
    this.#sink.reset(list.items);
    log.info('nodes listed', { peers: list.items.length, ms: Math.round(clock.monotonic() - started) });
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { client, path, select, onContact } = this.#options;
    const brief = this.#quiet;
    let accepted = false;
    const onProgress = (): void => {
      this.#heard = true;
      // After a silent watch it is not enough that another one is accepted: it has to say something, or to end in its time.
      if (accepted || !brief) onContact();
      accepted = true;
      this.#complaint.over('the API server answers again');
    };
    const from = resourceVersion;
    // From an unknown version on, what there is comes first and in no order: only a list can be gone on from.
    if (from === '') this.#version = undefined;
    const onEvent = (event: WatchEvent): void => this.#event(event, from !== '');
    const watched = { select, shape: NODE_SHAPE, signal, resourceVersion, brief };
    await client.watch(path, { ...watched, onEvent, onProgress });
    onContact();
  }

  /** `ordered`: the events continue a known version. */
  #event({ type, object }: WatchEvent, ordered: boolean): void {
    const version = versionOf(object);
    const older = ordered ? compareVersions(version, this.#version ?? '') : undefined;
    if (type === 'BOOKMARK' && older !== undefined && older < 0) {
      // A server that has been set back: what we know may never have happened.
      throw new FlannelError(
        'api',
        `the API server is back at version ${version}, we have seen ${this.#version}`,
      );
    }
    if (type !== 'BOOKMARK' && older !== undefined && older <= 0) {
      // Told again after a cut: it would bring back what has gone since.
      this.#options.log.debug('an event that is older than what is known is passed over', { type, version });
      return;
    }
    if (type !== 'BOOKMARK') {
      this.#quiet = false;
      const node = parseNode(object);
      if (node !== undefined && type === 'DELETED') this.#sink.delete(node.name);
      else if (node !== undefined) this.#sink.put(node);
    }
    if (ordered && version !== '') this.#version = version;
  }

  /** The server took the request and has then said nothing for too long. */
  #isSilence(error: unknown): boolean {
    return error instanceof TransportError && error.failure === 'timeout' && this.#heard;
  }

  #failed(error: unknown, watching: boolean): void {
    const { log, observer } = this.#options;
    if (isGone(error)) {
      if (watching) observer.watchEnded('gone');
      log.info('the watch is too far behind; listing the nodes again');
      this.#version = undefined;
      return;
    }
    if (watching) observer.watchEnded('failed');
    // What could not be read may have been a change: only a list tells the whole truth.
    if (!(error instanceof TransportError) && !(error instanceof ApiError)) this.#version = undefined;
    this.#complaint.say('the API server cannot be followed, trying again', error);
  }
}

function versionOf(object: unknown): string {
  const metadata = (object as { metadata?: unknown } | null | undefined)?.metadata;
  const version = (metadata as { resourceVersion?: unknown } | null | undefined)?.resourceVersion;
  return typeof version === 'string' && version.length <= 128 ? version : '';
}

/**
 * Below zero: `a` is older than `b`. Undefined when that cannot be told: versions that are not decimal numbers mean
 * nothing to a client (Kubernetes API concepts, "Resource versions").
 */
function compareVersions(a: string, b: string): number | undefined {
  if (!/^[1-9]\d*$/.test(a) || !/^[1-9]\d*$/.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a === b ? 0 : 1;
}
