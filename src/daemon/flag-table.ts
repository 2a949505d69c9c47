/** One flag of `flanneld`: names and defaults as the original's (wire contract section 2). */
export type FlagSpec = { readonly group: string; readonly value: string; readonly help: string } & (
  | { readonly kind: 'string'; readonly fallback: string }
  | { readonly kind: 'list'; readonly fallback: readonly string[] }
  | { readonly kind: 'boolean'; readonly fallback: boolean }
  | { readonly kind: 'integer'; readonly fallback: number; readonly min: number; readonly max: number }
);

type Kind = FlagSpec['kind'];
type ValueOf<K extends Kind> = K extends 'string'
  ? string
  : K extends 'list'
    ? readonly string[]
    : K extends 'boolean'
      ? boolean
      : number;

const string = (group: string, value: string, help: string, fallback = '') =>
  ({ kind: 'string', group, value, help, fallback }) as const;
const list = (group: string, value: string, help: string) =>
  ({ kind: 'list', group, value, help, fallback: [] }) as const;
const boolean = (group: string, fallback: boolean, help: string) =>
  ({ kind: 'boolean', group, value: 'true|false', help, fallback }) as const;
const integer = (group: string, range: { fallback: number; min: number; max: number }, help: string) =>
  ({ kind: 'integer', group, value: 'number', help, ...range }) as const;

const KUBE = 'Kubernetes';
const NET = 'Interface and address';
const RULES = 'Traffic rules';
const FILES = 'Files';
const HEALTH = 'Health and log';
const ETCD = 'etcd';

export const FLAGS = {
  'kube-subnet-mgr': boolean(KUBE, false, 'take subnets from the Kubernetes API, not from etcd'),
  'kube-api-url': string(
    KUBE,
    'URL',
    'API server, instead of that of the kubeconfig; alone it is used without credentials',
  ),
  'kubeconfig-file': string(
    KUBE,
    'file',
    "kubeconfig; without it and without --kube-api-url the pod's service account is used",
  ),
  'kube-annotation-prefix': string(
    KUBE,
    'prefix',
    'prefix of the Node annotations',
    'flannel.alpha.coreos.com',
  ),
  'set-node-network-unavailable': boolean(
    KUBE,
    true,
    'set the Node condition NetworkUnavailable=False when ready',
  ),

  iface: list(NET, 'name or IP', 'external interface; may be given several times, the first match counts'),
  'iface-regex': list(
    NET,
    'regex',
    'external interface by address, then by name; may be given several times',
  ),
  'iface-can-reach': string(NET, 'IP', 'the interface that routes to this address'),
  'public-ip': string(NET, 'IPv4', 'IPv4 address that other nodes send to'),
  'public-ipv6': string(NET, 'IPv6', 'IPv6 address that other nodes send to'),
  'vxlan-tx-checksum': string(
    NET,
    'auto|on|off',
    'checksum offload of the VXLAN devices; off cures bad UDP checksums, auto: as it is',
    'auto',
  ),

  'ip-masq': boolean(RULES, false, 'masquerade traffic that leaves the pod network'),
  'ip-masq-fully-random-disable': boolean(RULES, false, 'masquerade without fully random source ports'),
  'ip-masq-exclude': list(
    RULES,
    'CIDR[,CIDR]',
    'do not masquerade what pods send there; may be given several times',
  ),
  'iptables-resync': integer(
    RULES,
    { fallback: 5, min: 1, max: 86_400 },
    'seconds between checks of the rules, in both modes',
  ),
  'iptables-forward-rules': boolean(RULES, true, 'accept forwarded pod traffic, in both modes'),
  'ip-blackhole-route': boolean(
    RULES,
    false,
    'blackhole the own subnet behind all other routes: packets to dead pods do not loop',
  ),

  'subnet-file': string(
    FILES,
    'file',
    'written for the CNI plugin; the status file is beside it',
    '/run/flannel/subnet.env',
  ),
  'ipam-dir': string(
    FILES,
    'folder',
    'host-local reservations; freed with their container; empty: left alone',
    '/var/lib/cni/networks',
  ),
  'state-dir': string(
    FILES,
    'folder',
    'last known peers, for a start without the store; empty: beside the subnet file',
  ),
  'net-config-path': string(
    FILES,
    'file',
    'network configuration; not read with etcd',
    '/etc/kube-flannel/net-conf.json',
  ),

  'healthz-ip': string(HEALTH, 'IP', 'address of /healthz, /readyz and /metrics', '0.0.0.0'),
  'healthz-port': integer(
    HEALTH,
    { fallback: 0, min: 0, max: 65_535 },
    'port of /healthz, /readyz and /metrics; 0 is off',
  ),
  'ui-addr': string(
    HEALTH,
    '[IP:]port',
    'where the page is that shows the overlay; a port alone is on loopback; empty: there is none',
  ),
  v: integer(HEALTH, { fallback: 0, min: 0, max: 100 }, 'verbosity; 1 and more also logs debug lines'),
  'log-format': string(HEALTH, 'text|json', 'format of the log', 'text'),
  vmodule: string(HEALTH, 'pattern', 'accepted and ignored'),
  log_backtrace_at: string(HEALTH, 'file:line', 'accepted and ignored'),
  version: boolean(HEALTH, false, 'print flanneld v<version> and exit'),

  'etcd-endpoints': string(
    ETCD,
    'URLs',
    'comma-separated; tried in turn',
    'http://127.0.0.1:4001,http://127.0.0.1:2379',
  ),
  'etcd-prefix': string(ETCD, 'prefix', 'of all keys', '/coreos.com/network'),
  'etcd-certfile': string(
    ETCD,
    'file',
    'client certificate; with authentication on it must have no CommonName',
  ),
  'etcd-keyfile': string(ETCD, 'file', 'its key'),
  'etcd-cafile': string(ETCD, 'file', "CA of the members' certificates; without it the system's"),
  'etcd-username': string(ETCD, 'name', 'user; without one no authentication'),
  'etcd-password': string(
    ETCD,
    'password',
    'better given as FLANNELD_ETCD_PASSWORD: everybody on the machine sees a command line',
  ),
  'subnet-lease-renew-margin': integer(
    ETCD,
    { fallback: 60, min: 1, max: 1439 },
    'minutes before its expiry at which the lease of this node is renewed',
  ),
} as const satisfies Readonly<Record<string, FlagSpec>>;

export type FlagName = keyof typeof FLAGS;
export type FlagValues = { readonly [K in FlagName]: ValueOf<(typeof FLAGS)[K]['kind']> };
