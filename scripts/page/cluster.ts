import type { Counters, Overview, PeerDetail, PeerView, PodView, RulesView } from '../../src/page/model.ts';

/** Names that try what names can try: markup, other directions of writing, length, addresses of the page itself. */
const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(1)</script>',
  'node-\u202eetalp-mrah\u202c',
  'zero\u200bwidth\u200fmarks',
  'a'.repeat(253),
  'javascript:alert(1)',
  'قلعة-عقدة-7',
  '노드-서울-12',
  'Z\u0335\u0311\u0352\u0301\u0302\u0303\u0304\u0305a\u0335\u0311\u0352\u0301\u0302\u0303l',
  '../../api/overview?x=1#y',
  'new\nline\ttab\0nul',
  '__proto__',
  '%2e%2e%2f%ff',
  '🛰️ satellite',
];

export interface ClusterOptions {
  readonly peers: number;
  readonly pods: number;
  readonly hostile: boolean;
  /** ms since the epoch. */
  readonly now: () => number;
}

const HOUR = 3_600_000;

/** A node with its peers as an agent would tell of them; the same at every start, but for counters, which follow the clock. */
export class FakeCluster {
  readonly #options: ClusterOptions;
  readonly #startedAt: number;
  readonly peers: readonly PeerView[];

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#startedAt = options.now() - 76 * HOUR;
    this.peers = Array.from({ length: options.peers }, (_, i) =>
      peer(i + 2, options.hostile ? HOSTILE[i] : undefined),
    );
  }

  overview(): Overview {
    const now = this.#options.now();
    const troubled = this.peers.some(({ state }) => state === 'refused');
    const leftOut = this.peers.filter(({ state }) => state === 'left_out').length;
    const programmed = this.peers.filter(({ state }) => state === 'tunnel' || state === 'direct').length;
    return {
      schema: 1,
      version: '0.1.0',
      now,
      health: {
        state: troubled ? 'failing' : 'ready',
        reasons: troubled ? ['2 entries were refused by the kernel: neighbour table is full'] : [],
        startedAt: this.#startedAt,
        lastPass: { at: now - (now % 30_000) - 1, ms: 2.4, found: 0, errors: troubled ? 2 : 0 },
        store: { fromMemory: false },
      },
      node: {
        name: 'n1',
        backend: 'vxlan',
        mtu: 1450,
        subnets: ['10.128.1.0/24'],
        publicIps: ['192.168.50.11'],
        external: { name: 'eth0', mtu: 1500 },
        devices: [
          {
            name: 'flannel.1',
            up: true,
            mac: 'fe:f6:d1:9f:52:71',
            vni: 1,
            port: 8472,
            addresses: ['10.128.1.0/32'],
            counters: counters(now - this.#startedAt, 340_000),
          },
        ],
        addresses: [{ subnet: '10.128.1.0/24', used: this.#options.pods, capacity: 253 }],
      },
      peers: { wanted: this.peers.length, programmed, leftOut, revision: 7 },
      rules: { mode: 'nftables', state: 'ok' },
      pods: Array.from({ length: this.#options.pods }, (_, i) => pod(i, now - this.#startedAt)),
      unread: [],
      repairs: repairs(now),
    };
  }

  detail(name: string): PeerDetail | undefined {
    const found = this.peers.find((one) => one.name === name);
    if (found === undefined) return undefined;
    if (found.state === 'left_out') return { ...found, entries: [] };
    const [subnet = '', gateway = ''] = [found.subnets[0], found.subnets[0]?.replace('/24', '')];
    const bad = found.state === 'refused';
    const route = { type: 'route', text: `${subnet} via ${gateway} dev flannel.1 onlink` } as const;
    if (found.state === 'direct') {
      return {
        ...found,
        entries: [{ type: 'route', text: `${subnet} via ${found.publicIps[0]} dev eth0`, state: 'present' }],
      };
    }
    return {
      ...found,
      entries: [
        { ...route, state: bad ? 'missing' : 'present' },
        {
          type: 'neighbour',
          text: `${gateway} dev flannel.1 lladdr ${found.vtepMac} PERMANENT`,
          state: bad ? 'refused' : 'present',
        },
        bad
          ? {
              type: 'fdb',
              text: `${found.vtepMac} dev flannel.1 dst ${found.publicIps[0]} self permanent`,
              state: 'other',
              found: `${found.vtepMac} dev flannel.1 dst 192.168.99.99 self permanent`,
            }
          : {
              type: 'fdb',
              text: `${found.vtepMac} dev flannel.1 dst ${found.publicIps[0]} self permanent`,
              state: 'present',
            },
      ],
    };
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}

function peer(index: number, name: string | undefined): PeerView {
  const [high, low] = [index >> 8, index & 255];
  const state =
    index % 97 === 5 ? 'left_out' : index % 131 === 7 ? 'refused' : index % 11 === 4 ? 'direct' : 'tunnel';
  return {
    name: name ?? `worker-${String.fromCharCode(97 + (index % 3))}-${String(index).padStart(4, '0')}`,
    subnets: [`10.${128 + high}.${low}.0/24`],
    publicIps: [`172.16.${high}.${low}`],
    ...(state === 'direct'
      ? {}
      : { vtepMac: `02:4f:${hex(high)}:${hex(low)}:${hex((index * 37) & 255)}:0b` }),
    state,
    ...(state === 'left_out'
      ? { why: `worker-b-0017 has the same subnet 10.${128 + high}.${low}.0/24, and had it first` }
      : {}),
    ...(state === 'refused'
      ? { why: 'neighbour table overflow: raise net.ipv4.neigh.default.gc_thresh3' }
      : {}),
  };
}

/** Grows with `ms`, in waves. */
function counters(ms: number, perSecond: number, phase = 0): Counters {
  const seconds = ms / 1000;
  const grown = perSecond * (seconds + 4 * Math.sin(seconds / 5 + phase));
  const [rx, tx] = [Math.floor(grown), Math.floor(grown * 0.6)];
  return {
    rxBytes: rx,
    txBytes: tx,
    rxPackets: Math.floor(rx / 820),
    txPackets: Math.floor(tx / 640),
    dropped: 0,
  };
}

function pod(i: number, ms: number): PodView {
  const busy = i % 4 === 3 ? 0 : 2000 * (1 + (i % 9)) ** 2;
  return {
    addresses: [`10.128.1.${i + 2}`],
    container: Array.from({ length: 8 }, (_, n) => hex((i * 53 + n * 91) & 255))
      .join('')
      .repeat(4),
    interface: 'eth0',
    network: 'cbr0',
    veth: `veth${hex((i * 71) & 255)}${hex((i * 13) & 255)}${hex(i)}`,
    up: i !== 6,
    mac: `0a:58:0a:f4:01:${hex(i + 2)}`,
    namespace: i === 11 ? 'gone' : 'alive',
    counters: counters(ms, busy, i),
  };
}

function repairs(now: number): Overview['repairs'] {
  const at = now - (now % 60_000);
  return [
    {
      at: at - 26 * HOUR,
      counts: { link: 1, address: 1, route: 50, neighbour: 50, fdb: 50 },
      what: 'link flannel.1 missing, with all that was on it',
    },
    { at: at - 3 * HOUR, counts: { rules: 1 }, what: 'table inet flannel-ipv4 missing' },
    { at: at - 3 * HOUR + 31, counts: { rules: 1 }, what: 'table inet flannel-ipv6 missing' },
    {
      at: at - 240_000,
      counts: { route: 1 },
      what: 'route 10.128.7.0/24 via 10.128.7.0 dev flannel.1 missing',
    },
    {
      at: at - 238_000,
      counts: { neighbour: 1 },
      what: 'neighbour 10.128.7.0 has 02:00:00:00:00:01 instead of 02:4f:00:07:03:0b',
    },
    { at: at - 236_500, counts: { sysctl: 1 }, what: 'net.ipv6.conf.flannel/1.accept_ra is 1, not 0' },
  ];
}

export function fakeRules(differences: boolean): RulesView {
  const masq = [
    ['meta mark 0x00004000 return', 'kube-proxy masquerades what it has marked by itself'],
    [
      'ip saddr 10.128.1.0/24 ip daddr 10.128.0.0/16 return',
      'from a pod of this node to a pod: addresses are kept',
    ],
    [
      'ip saddr 10.128.0.0/16 ip daddr 10.128.1.0/24 return',
      'from a pod to a pod of this node: addresses are kept',
    ],
    [
      'ip saddr != 10.128.1.0/24 ip daddr 10.128.0.0/16 return',
      'from elsewhere to a pod: the pod sees the sender',
    ],
    [
      'ip saddr 10.128.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random',
      'from a pod to the outside: as this node',
    ],
    [
      'ip saddr != 10.128.0.0/16 ip daddr 10.128.0.0/16 masquerade fully-random',
      'from this node to a pod elsewhere, by another address than a pod’s',
    ],
  ];
  const forward = [
    ['ip saddr 10.128.0.0/16 accept', 'what pods send is forwarded'],
    ['ip daddr 10.128.0.0/16 accept', 'what is sent to pods is forwarded'],
  ];
  const chain = (rules: readonly (readonly string[])[], to: (text: string) => string) =>
    rules.map(([text = '', why = '']) => ({ text: to(text), why }));
  const six = (text: string) =>
    text
      .replaceAll('ip ', 'ip6 ')
      .replaceAll('10.128.1.0/24', 'fd00:10:244:1::/64')
      .replaceAll('10.128.0.0/16', 'fd00:10:244::/48')
      .replaceAll('224.0.0.0/4', 'ff00::/8');
  const same = (text: string) => text;
  return {
    schema: 1,
    mode: 'nftables',
    families: [
      {
        family: 'ipv4',
        chains: [
          { name: 'postrouting', rules: chain(masq, same) },
          { name: 'forward', rules: chain(forward, same) },
        ],
      },
      {
        family: 'ipv6',
        chains: [
          { name: 'postrouting', rules: chain(masq, six) },
          { name: 'forward', rules: chain(forward, six) },
        ],
      },
    ],
    differences: differences
      ? [
          'ipv4 postrouting: ip saddr 10.128.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random is missing',
        ]
      : [],
  };
}
