import type { KubeClient, WatchEvent } from '#clients/k8s/client.ts';
import { ApiError, isGone, TransportError } from '#clients/k8s/errors.ts';
import type { Selection } from '#clients/k8s/selection.ts';
import { type NodeView, parseNode } from './node.ts';
import { Complaint, type RetryContext, Waits } from './retry.ts';

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

/** A watch that lived this long was a good one, ms. */
const GOOD = 10_000;

/** Lists and watches Nodes for ever: resumes where it stopped, lists again when the history is gone. */
export class Follower<T> {
  readonly #options: FollowerOptions;
  readonly #sink: FollowerSink<T>;
  readonly #waits: Waits;
  readonly #complaint: Complaint;
  /** Where the watch goes on; undefined: list first. */
  #version: string | undefined;
  /** The first list may come from the API server's cache, as kubelets do it: a whole cluster may be starting. */
  #listed = false;

  constructor(options: FollowerOptions, sink: FollowerSink<T>) {
    this.#options = options;
    this.#sink = sink;
    this.#waits = new Waits(options, { initial: 500, max: 15_000 });
    this.#complaint = new Complaint(options);
  }

  /** Resolves when `signal` is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let failure: unknown;
      try {
        if (this.#version === undefined) {
          await this.#list(signal);
          continue;
        }
        const started = this.#options.clock.monotonic();
        await this.#watch(this.#version, signal);
        if (this.#options.clock.monotonic() - started >= GOOD) {
          this.#waits.reset();
          continue;
        }
      } catch (error) {
        failure = error;
        if (!signal.aborted) this.#failed(error);
      }
      // Rejects only when aborted, which ends the loop.
      await this.#waits.sleep(signal, failure).catch(() => {});
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, path, select, onContact, log, clock } = this.#options;
    const started = clock.monotonic();
    this.#sink.begin();
    const list = await client.list(path, {
      select,
      signal,
      onProgress: onContact,
      ...(!this.#listed && { resourceVersion: '0' }),
      reduce: (item) => {
        const node = parseNode(item);
        return node === undefined ? undefined : this.#sink.reduce(node);
      },
    });
    this.#version = list.resourceVersion;
    this.#listed = true;
    this.#complaint.over('the API server answers again');
    this.#sink.reset(list.items);
    log.info('nodes listed', { peers: list.items.length, ms: Math.round(clock.monotonic() - started) });
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { client, path, select, onContact } = this.#options;
    const onEvent = (event: WatchEvent): void => {
      this.#event(event);
      this.#waits.reset();
    };
    const onProgress = (): void => {
      onContact();
      this.#complaint.over('the API server answers again');
    };
    await client.watch(path, { select, signal, resourceVersion, onEvent, onProgress });
  }

  #event({ type, object }: WatchEvent): void {
    const version = versionOf(object);
    if (type !== 'BOOKMARK') {
      const node = parseNode(object);
      if (node !== undefined && type === 'DELETED') this.#sink.delete(node.name);
      else if (node !== undefined) this.#sink.put(node);
    }
    if (version !== '') this.#version = version;
  }

  #failed(error: unknown): void {
    const { log } = this.#options;
    if (isGone(error)) {
      log.info('the watch is too far behind; listing the nodes again');
      this.#version = undefined;
      return;
    }
    // A silent watch is cut on purpose: it finds a dead peer.
    if (error instanceof TransportError && error.failure === 'timeout' && this.#version !== undefined) {
      log.debug('the watch was silent and is opened again');
      return;
    }
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
