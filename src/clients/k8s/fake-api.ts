import type { Clock } from '#base/clock.ts';
import { systemClock } from '#base/clock.ts';

/** A Node as tests write it. */
export interface FakeNode {
  metadata: {
    name: string;
    uid?: string;
    resourceVersion?: string;
    annotations?: Record<string, string> | null;
  };
  spec?: { podCIDR?: string; podCIDRs?: string[] };
  status?: { conditions?: Record<string, string>[] };
}

interface Entry {
  readonly version: number;
  readonly line: string;
}

interface Watcher {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

export interface Seen {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: string;
}

/** Test double of the Nodes API over real HTTP: state, history, watches; `intercept` answers instead of it. */
export class FakeApi {
  readonly nodes = new Map<string, FakeNode>();
  readonly requests: Seen[] = [];
  intercept: (seen: Seen) => Response | undefined = () => undefined;
  /** Versions before this one are gone. */
  oldest = 0;
  #version = 100;
  #history: Entry[] = [];
  #watchers = new Set<Watcher>();
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor(tls?: Bun.TLSOptions) {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 0,
      development: false,
      ...(tls !== undefined && { tls }),
      fetch: (request) => this.#handle(request),
    });
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Watches opened so far. */
  get watchRequests(): Seen[] {
    return this.requests.filter((seen) => seen.url.searchParams.get('watch') === 'true');
  }

  get patches(): Seen[] {
    return this.requests.filter((seen) => seen.method === 'PATCH');
  }

  put(node: FakeNode): void {
    const type = this.nodes.has(node.metadata.name) ? 'MODIFIED' : 'ADDED';
    this.#version += 1;
    node.metadata.resourceVersion = String(this.#version);
    node.metadata.uid ??= `uid-${node.metadata.name}`;
    this.nodes.set(node.metadata.name, node);
    this.#emit(type, node);
  }

  delete(name: string): void {
    const node = this.nodes.get(name);
    if (node === undefined) return;
    this.#version += 1;
    node.metadata.resourceVersion = String(this.#version);
    this.nodes.delete(name);
    this.#emit('DELETED', node);
  }

  bookmark(): void {
    this.#version += 1;
    const object = { kind: 'Node', metadata: { resourceVersion: String(this.#version), annotations: null } };
    this.send(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  /** Raw bytes to every watcher. */
  send(text: string): void {
    for (const { controller } of this.#watchers) controller.enqueue(new TextEncoder().encode(text));
  }

  /** Ends every watch: in good order, or by cutting the connection. */
  cut(how: 'close' | 'reset' = 'close'): void {
    for (const { controller } of this.#watchers) {
      if (how === 'close') controller.close();
      else controller.error(new Error('cut'));
    }
    this.#watchers.clear();
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #emit(type: string, object: FakeNode): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#history.push({ version: this.#version, line });
    this.send(line);
  }

  async #handle(request: Request): Promise<Response> {
    const seen = {
      method: request.method,
      url: new URL(request.url),
      headers: request.headers,
      body: await request.text(),
    };
    this.requests.push(seen);
    const answer = this.intercept(seen);
    if (answer !== undefined) return answer;
    const { pathname, searchParams } = seen.url;
    const name = /^\/api\/v1\/nodes\/([^/]+)(?:\/status)?$/.exec(pathname)?.[1];
    if (name !== undefined)
      return request.method === 'PATCH' ? this.#patch(name, seen.body) : this.#get(name);
    if (pathname !== '/api/v1/nodes') return status(404, 'NotFound', `no ${pathname} here`);
    return searchParams.get('watch') === 'true' ? this.#watch(searchParams) : this.#list(searchParams);
  }

  #get(name: string): Response {
    const node = this.nodes.get(name);
    return node === undefined ? status(404, 'NotFound', `nodes "${name}" not found`) : Response.json(node);
  }

  #patch(name: string, body: string): Response {
    const node = this.nodes.get(name);
    if (node === undefined) return status(404, 'NotFound', `nodes "${name}" not found`);
    const patch = JSON.parse(body) as Partial<FakeNode>;
    const conditions = patch.status?.conditions ?? node.status?.conditions;
    const changed: FakeNode = {
      ...node,
      metadata: {
        ...node.metadata,
        annotations: { ...node.metadata.annotations, ...patch.metadata?.annotations },
      },
      ...(conditions !== undefined && { status: { conditions } }),
    };
    this.put(changed);
    return Response.json(changed);
  }

  #list(query: URLSearchParams): Response {
    const all = [...this.nodes.values()];
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 0) || all.length;
    const to = Math.min(all.length, from + limit);
    const metadata = {
      resourceVersion: String(this.#version),
      ...(to < all.length && { continue: String(to) }),
    };
    return Response.json({ kind: 'NodeList', apiVersion: 'v1', metadata, items: all.slice(from, to) });
  }

  #watch(query: URLSearchParams): Response {
    const version = Number(query.get('resourceVersion'));
    if (version < this.oldest) return status(410, 'Expired', `too old resource version: ${version}`);
    let watcher: Watcher | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        watcher = { controller };
        this.#watchers.add(watcher);
        const missed = this.#history.filter((entry) => entry.version > version);
        controller.enqueue(new TextEncoder().encode(missed.map((entry) => entry.line).join('') || '\n'));
      },
      cancel: () => {
        if (watcher !== undefined) this.#watchers.delete(watcher);
      },
    });
    return new Response(body, { headers: { 'content-type': 'application/json' } });
  }
}

/** An error answer with a Status object. */
export function status(
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): Response {
  return Response.json(
    { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message },
    { status: code, headers },
  );
}

/** A peer or own Node with the annotations a VXLAN agent publishes. */
export function fakeNode(index: number, annotations: Record<string, string> = {}): FakeNode {
  const prefix = 'flannel.alpha.coreos.com/';
  return {
    metadata: {
      name: `n${index}`,
      annotations: {
        [`${prefix}kube-subnet-manager`]: 'true',
        [`${prefix}backend-type`]: 'vxlan',
        [`${prefix}backend-data`]: `{"VNI":1,"VtepMAC":"12:00:00:00:00:${index.toString(16).padStart(2, '0')}"}`,
        [`${prefix}public-ip`]: `192.168.50.${10 + index}`,
        other: 'kept out',
        ...annotations,
      },
    },
    spec: { podCIDR: `10.244.${index}.0/24`, podCIDRs: [`10.244.${index}.0/24`] },
  };
}

/** Time that runs fifty times as fast. */
export const fastClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now() * 50,
  sleep: (ms, signal) => systemClock.sleep(ms / 50, signal),
};

/** Waits until `condition` holds; throws after two seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await Bun.sleep(2);
  }
}
