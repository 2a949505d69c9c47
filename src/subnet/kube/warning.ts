import type { Clock } from '#base/clock.ts';
import { describe } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { KubeClient } from '#clients/k8s/client.ts';
import { isMissing, isRefused } from '#clients/k8s/errors.ts';
import { members } from '#clients/k8s/selection.ts';

export interface WarningContext {
  readonly client: KubeClient;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface WarningText {
  /** For machines, in CamelCase, e.g. `PodCIDRNotAssigned`. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** Of the Node. */
  readonly uid: string;
}

/** What lasts no longer than this is no news: a new Node has no podCIDR for a moment, ms. */
const PATIENCE = 10_000;
/** The same warning is counted up no more often than this, ms. */
const PERIOD = 300_000;
/** Events of Nodes, which have no namespace, are in this one, where `kubectl describe node` looks. */
const EVENTS = '/api/v1/namespaces/default/events';
const COMPONENT = 'flanneld';
/** Longest message of an Event that the API takes, characters (core/v1 validation). */
const MAX_MESSAGE = 1024;

/**
 * A Warning Event on this node's Node while a condition lasts: `kubectl describe node` then shows it. One Event, counted
 * up; an API server that does not let us is not asked again.
 */
export class NodeWarning {
  readonly #context: WarningContext;
  #since: number | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #event: { readonly name: string; readonly reason: string; count: number } | undefined;
  #refused = false;

  constructor(context: WarningContext) {
    this.#context = context;
  }

  /** The condition still lasts. Rejects with the signal's reason only. */
  async tell(text: WarningText, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#context;
    const now = clock.monotonic();
    this.#since ??= now;
    const changed = this.#event?.reason !== text.reason;
    const due =
      now - this.#since >= PATIENCE &&
      (now - this.#toldAt >= PERIOD || (changed && this.#event !== undefined));
    if (this.#refused || !due) return;
    this.#toldAt = now;
    try {
      if (changed || !(await this.#countUp(text, signal))) await this.#create(text, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#refused = isRefused(error);
      log.debug('the Event on this node’s Node cannot be written', { error: describe(error) });
    }
  }

  async #create({ reason, message, uid }: WarningText, signal: AbortSignal): Promise<void> {
    const { client, clock, nodeName } = this.#context;
    const time = timestamp(clock);
    const name = `${nodeName.slice(0, 230)}.${(clock.now() * 1000).toString(16)}`;
    const body = {
      kind: 'Event',
      apiVersion: 'v1',
      metadata: { name, namespace: 'default' },
      involvedObject: { kind: 'Node', apiVersion: 'v1', name: nodeName, uid: uid === '' ? nodeName : uid },
      type: 'Warning',
      reason,
      message: message.slice(0, MAX_MESSAGE),
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component: COMPONENT, host: nodeName },
      reportingComponent: COMPONENT,
      reportingInstance: nodeName,
    };
    await client.create(EVENTS, { body, select: members({}), signal });
    this.#event = { name, reason, count: 1 };
  }

  /** False when the Event is gone: the API server keeps them for an hour. */
  async #countUp({ message }: WarningText, signal: AbortSignal): Promise<boolean> {
    const { client, clock } = this.#context;
    const event = this.#event;
    if (event === undefined) return false;
    const count = event.count + 1;
    const body = { count, lastTimestamp: timestamp(clock), message: message.slice(0, MAX_MESSAGE) };
    try {
      await client.patch(`${EVENTS}/${event.name}`, { type: 'merge', body, select: members({}), signal });
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    event.count = count;
    return true;
  }
}

/** Whole seconds, as metav1.Time has them. */
function timestamp(clock: Clock): string {
  return new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z');
}
