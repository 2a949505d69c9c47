/** Why a watch is opened again: the server ended it in good order; nothing was heard; the history is gone; it failed. */
export const WATCH_ENDS = ['ended', 'silent', 'gone', 'failed'] as const;

export type WatchEnd = (typeof WATCH_ENDS)[number];

/** Hears what a store does, to count it. Every call is cheap and must not throw. */
export interface StoreObserver {
  /** Everything was read anew. */
  listed(): void;
  watchEnded(why: WatchEnd): void;
  /** This node's lease was written. */
  published(): void;
  /** Somebody had changed this node's lease; it is written again. */
  leaseRepaired(keys: readonly string[]): void;
  /** A request failed and is tried again. */
  failed(error: unknown): void;
}

/** For callers that count nothing. */
export const silentObserver: StoreObserver = {
  listed: () => {},
  watchEnded: () => {},
  published: () => {},
  leaseRepaired: () => {},
  failed: () => {},
};
