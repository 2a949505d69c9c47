import type { IncomingMessage, ServerResponse } from 'node:http';
import { Mac } from '#net/mac.ts';
import { backendData, fatNode, fatPeer, fillFatNodes } from './fat-node.ts';
import { timestamp, type JsonObject } from './object.ts';
import { jsonBytes } from './representation.ts';
import { parseTarget } from './request.ts';
import { startApiServer, type ApiServer } from './server.ts';
import { ApiError, badRequest, noSuchResource } from './status.ts';
import { resourceOf } from './store.ts';
import { send } from './transport.ts';

export interface FatApiOptions {
  /** How many fat Nodes it holds from the start. */
  readonly nodes: number;
  readonly port: number;
  readonly gzip: boolean;
}

/**
 * An API server full of fat Nodes with control endpoints below `/-/`, for benchmarks that run it in its own process:
 *
 * - `POST /-/touch?node=<name>`: gives the Node another VtepMAC; answers `{node, vtepMac, resourceVersion, at}`, `at` being
 *   the wall clock at the change in ms with fractions
 * - `POST /-/beat?from=<index>&count=<n>`: a heartbeat of so many Nodes, one after another: their status changes, and nothing else
 * - `POST /-/join?from=<index>&count=<n>`: adds so many Nodes
 * - `POST /-/delete?node=<name>`, `POST /-/cut` (breaks all watches), `POST /-/expire` (forgets the history)
 * - `GET /-/stats`: `{bytesSent, watches, requests, rss}`; `POST /-/clear` empties the request counts
 */
export async function startFatApi(options: FatApiOptions): Promise<ApiServer> {
  let touches = 0;
  const control = (name: string, query: URLSearchParams): JsonObject => {
    switch (name) {
      case 'POST touch':
        touches += 1;
        return touch(server, query.get('node') ?? '', touches);
      case 'POST beat':
        return each(query, (index) => beat(server, index));
      case 'POST join':
        return each(query, (index) => server.store.create(resourceOf('nodes'), fatNode(index)).shrink());
      case 'POST delete':
        return { deleted: server.nodes.delete(query.get('node') ?? '') };
      case 'POST cut':
        return { watches: server.faults.cutWatches() };
      case 'POST expire':
        server.faults.expireHistory();
        return {};
      case 'POST clear':
        server.requests.clear();
        return {};
      case 'GET stats':
        return { ...server.stats(), requests: server.requests.counts(), rss: process.memoryUsage.rss() };
      default:
        throw noSuchResource();
    }
  };
  const server = await startApiServer({
    port: options.port,
    gzip: options.gzip,
    intercept: (...exchange) => answerControl(exchange, control),
  });
  fillFatNodes(server, options.nodes);
  return server;
}

function answerControl(
  [request, response]: [IncomingMessage, ServerResponse],
  control: (name: string, query: URLSearchParams) => JsonObject,
): boolean {
  const target = parseTarget(request.url ?? '');
  if (target?.segments[0] !== '-') return false;
  const headers = { 'content-type': 'application/json' };
  try {
    const name = `${request.method ?? ''} ${target.segments.slice(1).join('/')}`;
    send(response, 200, { headers, body: jsonBytes(control(name, target.query)) });
  } catch (error) {
    const status = error instanceof ApiError ? error : badRequest(String(error));
    send(response, status.code, { headers, body: jsonBytes(status.toStatus()) });
  }
  return true;
}

/** Does something for the indices that the query names; answers the wall clock before and after it, ms. */
function each(query: URLSearchParams, act: (index: number) => void): JsonObject {
  const number = (key: string): number => {
    const text = query.get(key) ?? '';
    if (!/^\d{1,5}$/.test(text)) throw badRequest(`${key} is no number`);
    return Number(text);
  };
  const now = () => performance.timeOrigin + performance.now();
  const from = number('from');
  const began = now();
  for (let index = from; index < from + number('count'); index += 1) act(index);
  return { began, at: now() };
}

/** What a kubelet writes every few minutes: the time, in each condition. Entries stay shrunk: there are thousands. */
function beat(server: ApiServer, index: number): void {
  const nodes = resourceOf('nodes');
  const stored = server.store.require(nodes, undefined, fatPeer(index).name);
  const { object } = stored;
  // Never the same twice, also within a second: an update that changes nothing is none.
  const now = timestamp(1_800_000_000_000 + stored.version * 1000);
  const before = (object.status?.['conditions'] ?? []) as JsonObject[];
  const conditions = before.map((condition) => ({
    ...condition,
    lastHeartbeatTime: now,
  }));
  server.store.update(nodes, stored, { ...object, status: { ...object.status, conditions } }).shrink();
}

function touch(server: ApiServer, node: string, count: number): JsonObject {
  const mac = Mac.fromBytes(
    Uint8Array.of(0x0e, 0xf1, 0xa1, (count >>> 16) & 255, (count >>> 8) & 255, count & 255),
  );
  const at = performance.timeOrigin + performance.now();
  const changed = server.nodes.update(node, ({ metadata }) => {
    metadata.annotations = {
      ...metadata.annotations,
      'flannel.alpha.coreos.com/backend-data': backendData(mac),
    };
  });
  return { node, vtepMac: mac.toString(), resourceVersion: changed.metadata.resourceVersion, at };
}
