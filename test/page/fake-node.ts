import type { Counters, Overview, PeerDetail, PeerView, PodView, RulesView } from '#page/model.ts';
import { pageUrl, parsePageAddress } from '#page/server/address.ts';
import { servedAt } from '#page/server/guard.ts';
import { createPageHandler } from '#page/server/handler.ts';
import { listenPage, type PageServer } from '#page/server/listen.ts';
import type { PageSource } from '#page/server/source.ts';

/** A node as a test wants it, behind the real handler: strict headers, checked names and origins, the real client. */
export class FakeNode implements AsyncDisposable {
  overview: Overview;
  peers: readonly PeerView[];
  rules: RulesView = RULES;
  /** What the handler itself failed at: nothing, in a test that holds. */
  readonly faults: unknown[] = [];
  #server: PageServer | undefined;
  #port = 0;

  constructor(peers: readonly PeerView[] = somePeers(3)) {
    this.peers = peers;
    this.overview = someOverview(peers);
  }

  get url(): string {
    return pageUrl({ ...parsePageAddress('127.0.0.1:0', 'test'), port: this.#port });
  }

  /** At the same port again, after the first time. */
  start(): void {
    const address = parsePageAddress(`127.0.0.1:${this.#port}`, 'test');
    const handler = createPageHandler({
      source: this.#source(),
      files: async () => (await import('#page/server/assets.ts')).pageFiles,
      isServed: servedAt(address.ip),
      onFault: (error) => this.faults.push(error),
    });
    this.#server = listenPage(address, handler);
    this.#port = this.#server.address.port;
  }

  async stop(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #source(): PageSource {
    return {
      overview: async () => withTraffic(this.overview),
      peers: async () => ({ revision: this.overview.peers?.revision ?? 0, peers: this.peers }),
      peer: async (name) => detailOf(this.peers.find((peer) => peer.name === name)),
      probe: async (name) =>
        this.peers.some((peer) => peer.name === name)
          ? {
              at: Date.now(),
              results: [
                { over: 'overlay', from: '10.244.0.0', to: '10.244.1.0', ms: 0.42 },
                { over: 'underlay', from: '192.168.0.1', to: '192.168.0.2', why: 'no answer within 1 s' },
              ],
            }
          : undefined,
      rules: async () => this.rules,
    };
  }
}

/** As it is now: traffic never stops. */
function withTraffic(overview: Overview): Overview {
  const { node, pods } = overview;
  return {
    ...overview,
    now: Date.now(),
    pods: pods.map(busier),
    ...(node === undefined ? {} : { node: { ...node, devices: node.devices.map(busier) } }),
  };
}

function busier<T extends { readonly counters?: Counters }>(of: T): T {
  if (of.counters === undefined) return of;
  const t = Date.now() % 1e9;
  const { dropped } = of.counters;
  return { ...of, counters: { rxBytes: t * 40, txBytes: t * 9, rxPackets: t, txPackets: t, dropped } };
}

/** Up to 65,000 peers with subnets, addresses and MACs of their own; every state is among them. */
export function somePeers(count: number): PeerView[] {
  return Array.from({ length: count }, (_, at): PeerView => {
    const [high, low] = [at >> 8, at & 255];
    const name = `node-${String(at).padStart(4, '0')}.example.org`;
    const subnets = [`10.${high + 1}.${low}.0/24`];
    const publicIps = [`192.168.${high}.${low}`];
    const vtepMac = `0a:00:00:00:${hex(high)}:${hex(low)}`;
    if (at % 97 === 50)
      return { name, subnets: [], publicIps: [], state: 'left_out', why: 'ipv4: it runs backend host-gw' };
    if (at % 89 === 60) return { name, subnets, publicIps, vtepMac, state: 'refused', why: 'File exists' };
    return at % 7 === 3
      ? { name, subnets, publicIps, state: 'direct' }
      : { name, subnets, publicIps, vtepMac, state: 'tunnel' };
  });
}

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

function detailOf(peer: PeerView | undefined): PeerDetail | undefined {
  if (peer === undefined) return undefined;
  const entries = peer.subnets.flatMap((subnet): PeerDetail['entries'] => [
    {
      type: 'route',
      text: `${subnet} via ${subnet.replace('/24', '')} dev flannel.1 onlink`,
      state: 'present',
    },
    { type: 'neighbour', text: `${subnet.replace('/24', '')} lladdr ${peer.vtepMac}`, state: 'missing' },
    {
      type: 'fdb',
      text: `${peer.vtepMac} dst ${peer.publicIps[0]}`,
      state: 'other',
      found: '… dst 192.0.2.9',
    },
  ]);
  return { ...peer, entries };
}

const NO_TRAFFIC: Counters = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, dropped: 0 };

export function somePod(at: number): PodView {
  return {
    addresses: [`10.244.0.${at + 2}`],
    container: `${hex(at)}4f`.repeat(16),
    interface: 'eth0',
    network: 'cbr0',
    veth: `veth00${hex(at)}`,
    up: true,
    mac: `0a:58:0a:f4:00:${hex(at)}`,
    namespace: 'alive',
    counters: { ...NO_TRAFFIC, dropped: at },
  };
}

export function someOverview(peers: readonly PeerView[]): Overview {
  const now = Date.now();
  const leftOut = peers.filter(({ state }) => state === 'left_out' || state === 'refused').length;
  return {
    schema: 1,
    version: '0.1.0',
    now,
    health: {
      state: 'ready',
      reasons: [],
      startedAt: now - 3_723_000,
      lastPass: { at: now - 12_000, ms: 3.4, found: 0, errors: 0 },
      store: { fromMemory: false },
    },
    node: {
      name: 'this-node',
      backend: 'vxlan',
      mtu: 1450,
      subnets: ['10.244.0.0/24', 'fd00:42::/64'],
      publicIps: ['192.168.0.1', 'fd50::1'],
      external: { name: 'eth0', mtu: 1500 },
      devices: [
        {
          name: 'flannel.1',
          up: true,
          mac: '0a:00:00:00:00:01',
          vni: 1,
          port: 8472,
          addresses: ['10.244.0.0/32'],
          counters: NO_TRAFFIC,
        },
      ],
      addresses: [{ subnet: '10.244.0.0/24', used: 3, capacity: 253 }],
    },
    peers: { wanted: peers.length, programmed: peers.length - leftOut, leftOut, revision: peers.length + 1 },
    rules: { mode: 'nftables', state: 'ok' },
    pods: [0, 1, 2].map(somePod),
    unread: [],
    repairs: [
      {
        at: now - 600_000,
        counts: { route: 1 },
        what: 'route 10.1.3.0/24 via 10.1.3.0 dev flannel.1 missing',
      },
      { at: now - 60_000, counts: { rules: 2 }, what: 'table ip flannel-ipv4 missing' },
    ],
  };
}

const RULES: RulesView = {
  schema: 1,
  mode: 'nftables',
  families: [
    {
      family: 'ipv4',
      chains: [
        {
          name: 'postrouting',
          rules: [
            { text: 'ip saddr 10.244.0.0/16 ip daddr 10.244.0.0/16 return', why: 'pods among themselves' },
            { text: 'ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade', why: 'pods to the world' },
          ],
        },
        { name: 'forward', rules: [{ text: 'ip saddr 10.244.0.0/16 accept', why: 'from pods' }] },
      ],
    },
  ],
  differences: [],
};
