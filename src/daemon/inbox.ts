import type { LeaseEvent } from '#subnet/manager.ts';

/** Collect peer events for this long before they are written together, ms. */
const GATHER = 2;

/** Hands events over in small groups, so that a burst becomes a few large writes. */
export class Inbox {
  readonly #take: (events: readonly LeaseEvent[]) => void;
  #events: LeaseEvent[] = [];
  #closed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(take: (events: readonly LeaseEvent[]) => void) {
    this.#take = take;
  }

  add(event: LeaseEvent): void {
    if (this.#closed) return;
    this.#events.push(event);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const events = this.#events;
      this.#events = [];
      this.#take(events);
    }, GATHER);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
