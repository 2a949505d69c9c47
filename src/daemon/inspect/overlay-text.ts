import type { OverlayHead, OverlayPeer } from './overlay.ts';

/** First key of the first line: another number is another form. */
export const OVERLAY_SCHEMA = 1;

/** Characters of one piece: between two of them the agent does its other work. */
const PIECE = 64 << 10;

export interface OverlaySource extends OverlayHead {
  readonly peers: Iterable<readonly [string, OverlayPeer]>;
}

/**
 * The overlay as lines of JSON, in pieces of many lines: a head, one line per peer, an end with their number. In pieces, so
 * that the text of thousands of peers is never in memory as a whole.
 */
export function* overlayText({ peers, ...head }: OverlaySource): Generator<string> {
  let piece = `${JSON.stringify({ schema: OVERLAY_SCHEMA, ...head })}\n`;
  let count = 0;
  for (const [name, peer] of peers) {
    piece += `${JSON.stringify({ name, ...peer })}\n`;
    count += 1;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}${JSON.stringify({ end: true, peers: count })}\n`;
}
