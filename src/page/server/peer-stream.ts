import type { PeerList } from '../model.ts';
import { strictly } from './headers.ts';
import { DOCUMENT, Refusal } from './refusal.ts';
import type { PeerListing } from './source.ts';

/** Characters of one piece: between two of them the server does its other work. */
const PIECE = 16 << 10;
/** Lists that are sent at once. */
const AT_ONCE = 4;
/** How long a reader may take for one, ms. */
const PATIENCE = 20_000;

/** Sends lists of peers, thousands long, without ever having one in memory as a whole. */
export class PeerStreams {
  #open = 0;

  /** 304 when the asker has this revision. Throws Refusal when too many are being sent. */
  answer(request: Request, listing: PeerListing): Response {
    const etag = `"${listing.revision}"`;
    const headers = { ...DOCUMENT, 'cache-control': 'no-cache', etag };
    if (hasTag(request.headers.get('if-none-match'), etag)) return strictly(null, { status: 304, headers });
    if (request.method === 'HEAD') return strictly(null, { headers });
    if (this.#open >= AT_ONCE)
      throw new Refusal(503, { error: 'too many lists of peers are being sent' }, { 'retry-after': '1' });
    this.#open += 1;
    return strictly(this.#stream(pieces(listing)), { headers });
  }

  #stream(text: Generator<string>): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = () => {
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      this.#open -= 1;
      text.return(undefined);
    };
    return new ReadableStream({
      start(controller) {
        timer = setTimeout(() => {
          end();
          controller.error(new Error('the reader takes too long'));
        }, PATIENCE);
      },
      async pull(controller) {
        await new Promise((resolve) => void setImmediate(resolve));
        if (timer === undefined) return;
        try {
          const { done, value } = text.next();
          if (done !== true) return controller.enqueue(encoder.encode(value));
          end();
          controller.close();
        } catch (error) {
          end();
          controller.error(error);
        }
      },
      cancel: end,
    });
  }
}

function* pieces({ revision, peers }: PeerListing): Generator<string> {
  const head: Omit<PeerList, 'peers'> = { schema: 1, revision };
  let piece = `${JSON.stringify(head).slice(0, -1)},"peers":[`;
  let separator = '';
  for (const peer of peers) {
    piece += separator + JSON.stringify(peer);
    separator = ',';
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}]}\n`;
}

/** RFC 9110 section 13.1.2. */
export function hasTag(ifNoneMatch: string | null, etag: string): boolean {
  const tags = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  return tags.includes(etag) || tags.includes('*');
}
