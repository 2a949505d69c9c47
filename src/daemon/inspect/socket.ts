import { chmodSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cureOf, describe, FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { overlayText, type OverlaySource } from './overlay-text.ts';

/** What the agent can be asked; nothing of it is made before somebody asks. */
export interface InspectSources {
  /** As the status file, up to this moment. */
  readonly status: () => Record<string, unknown>;
  /** Undefined until this node knows its subnet. */
  readonly overlay: () => OverlaySource | undefined;
}

export interface InspectOptions {
  readonly path: string;
  readonly sources: InspectSources;
  readonly log: Logger;
  /** How often it is looked whether the socket is still there, ms. */
  readonly watchMs?: number;
}

/** How often it is looked whether somebody has removed the socket (with all of /run/flannel, for instance), ms. */
const WATCH_MS = 10_000;

/**
 * Answers `GET /status` and `GET /plan` (docs/flannelctl.md) at a socket that root alone can open. Without it the agent does
 * its work all the same: what is wrong with it is told to the log.
 */
export class InspectSocket implements AsyncDisposable {
  readonly #path: string;
  readonly #sources: InspectSources;
  readonly #log: Logger;
  #server: ReturnType<typeof Bun.serve> | undefined;
  /** Which file is ours: another agent may have put its own in the place. */
  #id: string | undefined;
  #complaint = '';
  readonly #timer: ReturnType<typeof setInterval>;

  constructor({ path, sources, log, watchMs = WATCH_MS }: InspectOptions) {
    this.#path = path;
    this.#sources = sources;
    this.#log = log;
    this.#open();
    this.#timer = setInterval(() => this.#watch(), watchMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    if (this.#id !== undefined && this.#id === idOf(this.#path)) unlinkSync(this.#path);
    await this.#server?.stop(true);
  }

  #watch(): void {
    if (this.#id === undefined || idOf(this.#path) === undefined) this.#open();
  }

  #open(): void {
    try {
      void this.#server?.stop(true);
      this.#server = undefined;
      this.#id = undefined;
      const fetch = (request: Request) => answer(request, this.#sources);
      this.#server = listen(this.#path, fetch);
      this.#id = idOf(this.#path);
      this.#complaint = '';
    } catch (error) {
      const text = describe(error);
      const cure = cureOf(error);
      if (text !== this.#complaint)
        this.#log.warn('flannelctl cannot ask this agent', {
          error: text,
          ...(cure === undefined ? {} : { cure }),
        });
      this.#complaint = text;
    }
  }
}

/**
 * Made in a folder that only we can enter, then moved: there is no moment in which somebody else could open it, and none in
 * which the old one is gone and the new one not yet there.
 */
function listen(path: string, fetch: (request: Request) => Response): ReturnType<typeof Bun.serve> {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSocket())
    throw new FlannelError('operator', `${path} is there and is no socket`, { cure: 'Remove it' });
  const own = mkdtempSync(join(folder, '.agent-'));
  try {
    const made = join(own, 's');
    const server = Bun.serve({ unix: made, fetch });
    try {
      chmodSync(made, 0o600);
      renameSync(made, path);
      return server;
    } catch (error) {
      void server.stop(true);
      throw error;
    }
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** Device and inode; undefined when there is nothing to be seen. */
function idOf(path: string): string | undefined {
  try {
    const { dev, ino } = lstatSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function answer(request: Request, { status, overlay }: InspectSources): Response {
  if (request.method !== 'GET') return new Response('method not allowed\n', { status: 405 });
  switch (new URL(request.url).pathname) {
    case '/status':
      return Response.json(status());
    case '/plan': {
      const source = overlay();
      if (source !== undefined) return new Response(streamOf(overlayText(source)));
      return new Response('the agent does not know the subnet of this node yet\n', { status: 503 });
    }
    default:
      return new Response('not found\n', { status: 404 });
  }
}

/** Piece by piece, as fast as the reader takes them. */
function streamOf(pieces: Generator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    pull(controller) {
      const { done, value } = pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
  });
}
