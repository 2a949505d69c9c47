import { Ip } from '../../src/net/ip.ts';
import { bundlePage, type PageFiles } from '../../src/page/server/bundle.ts';
import { createPageHandler } from '../../src/page/server/handler.ts';
import { servedAt } from '../../src/page/server/guard.ts';
import type { ProbeView } from '../../src/page/model.ts';
import { FakeCluster, fakeRules, type ClusterOptions } from './cluster.ts';
import { fakeLab, fakeWalk } from './lab.ts';

export interface FakeOptions extends Omit<ClusterOptions, 'now'> {
  /** Serve a lab of so many nodes instead of a node. */
  readonly lab?: number;
  readonly differences?: boolean;
  /** Bundled anew at each opening when missing. */
  readonly files?: PageFiles;
  readonly port?: number;
}

/** Serves the page with made up documents, by the handler of the agent: to look at it, and to take its pictures. */
export function serveFake(options: FakeOptions) {
  const cluster = new FakeCluster({ ...options, now: Date.now });
  const { lab, differences = false } = options;
  const ip = Ip.parse('127.0.0.1');
  const handler = createPageHandler({
    source: lab === undefined ? sourceOf(cluster, differences) : {},
    files: async () => options.files ?? bundlePage(),
    isServed: servedAt(ip),
    routes:
      lab === undefined
        ? []
        : [
            { method: 'GET', path: '/api/lab', answer: async () => fakeLab(lab, Date.now) },
            { method: 'POST', path: '/api/walks', answer: async (body) => walk(lab, body) },
          ],
    onFault: (error) => console.error(error),
  });
  return Bun.serve({ hostname: ip.toString(), port: options.port ?? 0, fetch: handler, development: false });
}

function sourceOf(cluster: FakeCluster, differences: boolean) {
  return {
    overview: async () => cluster.overview(),
    peers: async () => ({ revision: 7, peers: cluster.peers }),
    peer: async (name: string) => cluster.detail(name),
    probe: async (name: string) => probe(cluster, name),
    rules: async () => fakeRules(differences),
  };
}

async function probe(cluster: FakeCluster, name: string): Promise<ProbeView | undefined> {
  const peer = cluster.detail(name);
  if (peer === undefined) return undefined;
  await Bun.sleep(300);
  const [subnet = '', address = ''] = [peer.subnets[0]?.replace('/24', ''), peer.publicIps[0]];
  return {
    at: Date.now(),
    results: [
      peer.state === 'refused'
        ? { over: 'overlay', from: '10.244.1.0', to: subnet, why: 'no echo within 1 s' }
        : { over: 'overlay', from: '10.244.1.0', to: subnet, ms: 0.42 },
      { over: 'underlay', from: '192.168.50.11', to: address, ms: 0.21 },
    ],
  };
}

async function walk(nodes: number, body: unknown) {
  const { from, to } = body as { from: string; to: string };
  await Bun.sleep(200);
  return fakeWalk(fakeLab(nodes, Date.now), from, to);
}
