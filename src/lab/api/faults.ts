import type { Collection } from './collection.ts';
import type { Watch } from './watch.ts';

/** Which requests a fault hits; what is left out matches all. */
export interface FaultFilter {
  readonly verb?: string;
  /** `nodes`, `nodes/status`, or a path. */
  readonly resource?: string;
}

export interface AnswerFault extends FaultFilter {
  /** HTTP status, e.g. 429 or 503. */
  readonly code: number;
  /** How many requests get it. Default 1. */
  readonly times?: number;
  /** Header `Retry-After`, s. */
  readonly retryAfterSeconds?: number;
  /** A body of plain text, as a proxy in between would send, instead of a Status object. */
  readonly text?: string;
}

export type CutStyle =
  /** The connection breaks between two events. */
  | 'abrupt'
  /** The connection breaks inside an event. */
  | 'mid-event'
  /** The answer ends in order, as at a timeout. */
  | 'clean';

/** A line that looks like an event until the JSON breaks off. */
const GARBAGE = '{"type":"MODIFIED","object":{"kind":"Node","metadata":{"name":\n';

interface Slow extends FaultFilter {
  readonly ms: number;
}

export interface FaultParts {
  readonly watches: ReadonlySet<Watch>;
  readonly collections: () => Iterable<Collection>;
  readonly closeListener: () => Promise<void>;
  readonly openListener: () => Promise<void>;
}

/** Breaks the server on purpose. Each fault holds until it is used up or `clear()`. */
export class Faults {
  readonly #parts: FaultParts;
  #answers: (AnswerFault & { left: number })[] = [];
  #slow: Slow | undefined;
  #forbidden: FaultFilter[] = [];
  readonly #rejectedTokens = new Set<string>();
  #stalled = false;

  constructor(parts: FaultParts) {
    this.#parts = parts;
  }

  /** Closes the listener and every connection: connects are refused until `listen()`. */
  async refuse(): Promise<void> {
    await this.#parts.closeListener();
  }

  /** Listens again on the same port after `refuse()`; nothing happens when it listens. */
  async listen(): Promise<void> {
    await this.#parts.openListener();
  }

  /** The next matching requests get this answer instead of their own. */
  answer(fault: AnswerFault): void {
    this.#answers.push({ ...fault, left: fault.times ?? 1 });
  }

  /** Every matching request waits `ms` before it is looked at; 0 ends it. */
  delay(ms: number, filter: FaultFilter = {}): void {
    this.#slow = ms === 0 ? undefined : { ...filter, ms };
  }

  /** Matching requests get 403 until `clear()`. */
  forbid(filter: FaultFilter): void {
    this.#forbidden.push(filter);
  }

  /** This bearer token gets 401 from now on; `accept` takes it back. */
  rejectToken(token: string): void {
    this.#rejectedTokens.add(token);
  }

  acceptToken(token: string): void {
    this.#rejectedTokens.delete(token);
  }

  /** Breaks all running watches; returns how many. */
  cutWatches(style: CutStyle = 'abrupt'): number {
    const watches = [...this.#parts.watches];
    for (const watch of watches) {
      if (style === 'clean') watch.end();
      else if (style === 'mid-event') watch.tear();
      else watch.cut();
    }
    return watches.length;
  }

  /** Sends a line to all running watches, as it stands; by default one that is no JSON. In protobuf it is an event's content. */
  garbage(line: string = GARBAGE): number {
    for (const watch of this.#parts.watches) watch.garble(Buffer.from(line));
    return this.#parts.watches.size;
  }

  /** Tells all running watches the last `count` changes once more, as they were; what is forgotten is left out. */
  replay(count: number): void {
    for (const watch of this.#parts.watches) watch.replay(count);
  }

  /** Running and new watches stay open and say nothing, no bookmark and no end, until `false` is given. */
  stallWatches(on: boolean): void {
    this.#stalled = on;
    for (const watch of this.#parts.watches) watch.stall(on);
  }

  /** Forgets the history: a watch or page from any revision known so far gets 410. Running watches go on. */
  expireHistory(): void {
    for (const collection of this.#parts.collections()) collection.expire();
  }

  /** Ends every fault but `refuse()`, which `listen()` ends. */
  clear(): void {
    this.#answers = [];
    this.#slow = undefined;
    this.#forbidden = [];
    this.#rejectedTokens.clear();
    this.stallWatches(false);
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** The injected answer for this request; uses it up. */
  takeAnswer(verb: string, resource: string): AnswerFault | undefined {
    const fault = this.#answers.find((candidate) => matches(candidate, verb, resource));
    if (fault === undefined) return undefined;
    fault.left -= 1;
    if (fault.left <= 0) this.#answers = this.#answers.filter((other) => other !== fault);
    return fault;
  }

  delayOf(verb: string, resource: string): number {
    return this.#slow !== undefined && matches(this.#slow, verb, resource) ? this.#slow.ms : 0;
  }

  isForbidden(verb: string, resource: string): boolean {
    return this.#forbidden.some((filter) => matches(filter, verb, resource));
  }

  isRejected(token: string): boolean {
    return this.#rejectedTokens.has(token);
  }
}

function matches(filter: FaultFilter, verb: string, resource: string): boolean {
  return (filter.verb ?? verb) === verb && (filter.resource ?? resource) === resource;
}
