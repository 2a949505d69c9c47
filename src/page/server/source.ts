import type { Overview, PeerDetail, PeerView, ProbeView, RulesView } from '../model.ts';

/** Peers as they are at one moment. */
export interface PeerListing {
  /** Another number whenever a peer has changed, also after a restart of whoever counts. */
  readonly revision: number;
  /** Looked at while they are sent, piece by piece; not at all when the asker has this revision already. */
  readonly peers: Iterable<PeerView>;
}

/**
 * What a page shows. Everything is asked only when a browser asks, each question at most twice a second however many browsers
 * there are. A question that is missing is answered with 404, `undefined` with 503 (not known yet) or, of a peer, 404.
 */
export interface PageSource {
  readonly overview?: () => Promise<Overview>;
  readonly peers?: () => Promise<PeerListing | undefined>;
  readonly peer?: (name: string) => Promise<PeerDetail | undefined>;
  /** Sends packets: at most a few a second are let through. */
  readonly probe?: (name: string) => Promise<ProbeView | undefined>;
  readonly rules?: () => Promise<RulesView | undefined>;
}

/** A document beside those of `PageSource`. */
export interface PageRoute {
  readonly method: 'GET' | 'POST';
  /** Exactly this path; it begins with `/api/`. */
  readonly path: string;
  /**
   * Makes the document. `body` is the parsed JSON of a POST, undefined when there is none. A `FlannelError` whose actor is the
   * operator is told to the asker. Answers to GET are shared for half a second.
   */
  readonly answer: (body: unknown) => Promise<unknown>;
}
