import { FlannelError } from '#base/errors.ts';
import type { PageFiles } from './bundle.ts';
import { guard, type HostCheck } from './guard.ts';
import { strictly } from './headers.ts';
import { hasTag, PeerStreams } from './peer-stream.ts';
import { readBody } from './body.ts';
import { DOCUMENT, Refusal, refuse } from './refusal.ts';
import { Rate, Shared } from './shared.ts';
import type { PageRoute, PageSource } from './source.ts';

export interface PageHandlerOptions {
  readonly source: PageSource;
  /** Loaded when the page is opened for the first time: `async () => (await import('./assets.ts')).pageFiles`. */
  readonly files: () => Promise<PageFiles>;
  /** See `servedAt`. */
  readonly isServed: HostCheck;
  readonly routes?: readonly PageRoute[];
  /** Told of what is our own fault; the asker hears no more than that. */
  readonly onFault?: (error: unknown) => void;
  /** ms of a clock that never goes back. */
  readonly now?: () => number;
}

/** How long an answer is shared, ms. */
const HOLDS = 500;
/** Reading the kernel for one peer: so many a second, so many at once. */
const DETAILS = [10, 20] as const;
/** Sending packets to one. */
const PROBES = [2, 4] as const;

/** The page and its documents (`model.ts`) as a function for `Bun.serve`. It never rejects. */
export function createPageHandler(options: PageHandlerOptions): (request: Request) => Promise<Response> {
  const page = new Page(options);
  return async (request) => {
    try {
      guard(request, options.isServed);
      const answer = await page.answer(request);
      return request.method === 'HEAD' ? withoutBody(answer) : answer;
    } catch (error) {
      if (error instanceof FlannelError && error.actor !== 'bug') return refuse(error);
      options.onFault?.(error);
      return refuse(new Refusal(500, { error: 'the server has failed; its log says why' }));
    }
  };
}

function withoutBody({ status, headers, body }: Response): Response {
  void body?.cancel();
  return new Response(null, { status, headers });
}

class Page {
  readonly #options: PageHandlerOptions;
  readonly #shared: Shared<string | undefined>;
  readonly #details: Rate;
  readonly #probes: Rate;
  readonly #streams = new PeerStreams();

  constructor(options: PageHandlerOptions) {
    const { now = () => performance.now() } = options;
    this.#options = options;
    this.#shared = new Shared(HOLDS, now);
    this.#details = new Rate(...DETAILS, now);
    this.#probes = new Rate(...PROBES, now);
  }

  async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const { source, routes = [] } = this.#options;
    const file = FILES[pathname];
    if (file !== undefined) {
      allow(request, 'GET');
      return fileOf(request, file, await this.#options.files());
    }
    const routed = routes.find(({ path }) => path === pathname);
    if (routed !== undefined) return this.#route(request, routed);
    // Every page asks whether it is the lab's; a browser would complain of 404 in its console.
    if (pathname === '/api/lab') return noLab(request);
    const [, api, kind, name, verb, ...rest] = pathname.split('/');
    if (api !== 'api' || kind === undefined || rest.length > 0) throw nothing();
    if (kind === 'overview' && name === undefined) return this.#get(request, kind, source.overview);
    if (kind === 'rules' && name === undefined) return this.#get(request, kind, source.rules);
    if (kind !== 'peers') throw nothing();
    if (name === undefined) return this.#peers(request);
    const peer = decoded(name);
    if (verb === undefined) return this.#peer(request, peer);
    if (verb === 'probe') return this.#probe(request, peer);
    throw nothing();
  }

  async #route(request: Request, { method, path, answer }: PageRoute): Promise<Response> {
    if (method === 'GET') return this.#get(request, path, () => answer(undefined));
    allow(request, 'POST');
    const made = await answer(await readBody(request));
    if (made === undefined) throw notYet();
    return document(JSON.stringify(made));
  }

  async #get(request: Request, key: string, make: (() => Promise<unknown>) | undefined): Promise<Response> {
    if (make === undefined) throw nothing();
    allow(request, 'GET');
    const text = await this.#shared.get(key, async () => JSON.stringify(await make()));
    if (text === undefined) throw notYet();
    return document(text);
  }

  async #peers(request: Request): Promise<Response> {
    const { peers } = this.#options.source;
    if (peers === undefined) throw nothing();
    allow(request, 'GET');
    const listing = await peers();
    if (listing === undefined) throw notYet();
    return this.#streams.answer(request, listing);
  }

  async #peer(request: Request, name: string): Promise<Response> {
    const { peer } = this.#options.source;
    if (peer === undefined) throw nothing();
    allow(request, 'GET');
    const text = await this.#shared.get(`peer ${name}`, async () => {
      if (!this.#details.take()) throw tooOften();
      return JSON.stringify(await peer(name));
    });
    if (text === undefined) throw noPeer();
    return document(text);
  }

  async #probe(request: Request, name: string): Promise<Response> {
    const { probe } = this.#options.source;
    if (probe === undefined) throw nothing();
    allow(request, 'POST');
    await readBody(request);
    const text = await this.#shared.get(`probe ${name}`, async () => {
      if (!this.#probes.take()) throw tooOften();
      return JSON.stringify(await probe(name));
    });
    if (text === undefined) throw noPeer();
    return document(text);
  }
}

const FILES: Readonly<Record<string, { readonly of: 'html' | 'script' | 'style'; readonly type: string }>> = {
  '/': { of: 'html', type: 'text/html; charset=utf-8' },
  '/page.js': { of: 'script', type: 'text/javascript; charset=utf-8' },
  '/page.css': { of: 'style', type: 'text/css; charset=utf-8' },
};

/** A new version of the program has new files: a browser asks every time, and mostly hears that nothing changed. */
function fileOf(request: Request, { of, type }: (typeof FILES)[string], files: PageFiles): Response {
  const etag = `"${files.revision}"`;
  const headers = { 'content-type': type, 'cache-control': 'no-cache', etag };
  if (hasTag(request.headers.get('if-none-match'), etag)) return strictly(null, { status: 304, headers });
  return strictly(files[of], { headers });
}

function noLab(request: Request): Response {
  allow(request, 'GET');
  return strictly(null, { status: 204, headers: { 'cache-control': 'no-store' } });
}

function document(text: string): Response {
  return strictly(`${text}\n`, { headers: DOCUMENT });
}

/** HEAD goes with GET (RFC 9110 section 9.3.2). Throws Refusal. */
function allow(request: Request, method: 'GET' | 'POST'): void {
  if (request.method === method || (method === 'GET' && request.method === 'HEAD')) return;
  const allowed = method === 'GET' ? 'GET, HEAD' : 'POST';
  throw new Refusal(405, { error: `this takes ${allowed} alone` }, { allow: allowed });
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal(400, { error: 'the name is not percent-encoded UTF-8' });
  }
}

const nothing = () => new Refusal(404, { error: 'there is nothing here' });
const noPeer = () => new Refusal(404, { error: 'there is no peer of this name' });
const notYet = () =>
  new Refusal(503, { error: 'the agent does not know the subnet of this node yet' }, { 'retry-after': '1' });
const tooOften = () => new Refusal(429, { error: 'asked too often' }, { 'retry-after': '1' });
