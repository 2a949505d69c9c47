/** Seconds between two samples of the series below. */
export const STEP = 30;
/** When the faults begin, steps: after an hour. */
const START = 120;
/** Length of all series, steps: four hours. */
export const END = 480;

export type Series = Readonly<Record<string, string>>;

/** A value until the fault, another one from then on. */
const turns = (before: number, after: number) => `${before}x${START - 1} ${after}x${END - START}`;
/** A counter that stands still until the fault, and then grows by so much in each step. */
const grows = (by: number) => `0x${START - 1} ${by}+${by}x${END - START}`;
/** A series that ends. */
const ends = (value: number) => `${value}x${START - 1} stale`;
const steady = (value: number) => `${value}x${END}`;
/** Another value for so many steps from an hour on. */
const dips = (value: number, other: number, steps: number) =>
  `${value}x${START - 1} ${other}x${steps - 1} ${value}x${END - START - steps}`;

const AT: Readonly<Record<string, string>> = {
  n1: 'job="flannel",instance="192.168.50.11:8471",node="n1"',
  n2: 'job="flannel",instance="192.168.50.12:8471",node="n2"',
};

/** A series of one node's agent. */
export function of(node: string, name: string, labels = ''): string {
  return `${name}{${AT[node] ?? ''}${labels === '' ? '' : `,${labels}`}}`;
}

/**
 * Two nodes on a day without a fault, which is not a quiet one: agents are replaced one after the other, a token rotates, somebody
 * removes a route once, Events may not be written, the API server is away for three minutes.
 */
function nodeSeries(node: string, upgradedAt: number): Record<string, string> {
  const upgraded = (from: string, to: string) => `${from}x${upgradedAt - 1} ${to}x${END - upgradedAt}`;
  const all: readonly (readonly [name: string, labels: string, values: string])[] = [
    ['up', '', dips(1, 0, 4)],
    ['flannel_build_info', 'version="0.1.0"', `1x${upgradedAt - 1} stale`],
    ['flannel_build_info', 'version="0.2.0"', upgraded('_', '1')],
    ['flannel_ready', '', dips(1, 0, 8)],
    ['flannel_from_memory', '', dips(0, 1, 4)],
    ['flannel_leases', '', steady(2)],
    ['flannel_peers_wanted', '', dips(1, 0, 4)],
    ['flannel_peers_programmed', '', steady(1)],
    ['flannel_peers_left_out', 'reason="unreadable"', dips(0, 1, 10)],
    ['flannel_peers_left_out', 'reason="refused"', dips(0, 1, 4)],
    ['flannel_peer_conflicts', '', dips(0, 1, 4)],
    // A quiet cluster: the watch is opened anew every half a minute.
    ['flannel_watch_age_seconds', '', dips(31, 180, 6)],
    ['flannel_subnet_addresses', 'family="ipv4"', steady(253)],
    ['flannel_subnet_addresses_used', 'family="ipv4"', dips(110, 253, 2)],
    ['flannel_reconciles_total', 'result="unchanged"', `0+1x${END}`],
    ['flannel_reconciles_total', 'result="failed"', turns(0, 2)],
    ['flannel_rule_checks_total', 'result="failed"', turns(0, 2)],
    ['flannel_repairs_total', 'kind="route"', turns(0, 1)],
    ['flannel_errors_total', 'actor="api",kind="timeout"', turns(0, 3)],
    ['flannel_api_requests_total', 'verb="watch",code="200"', `0+1x${END}`],
    ['flannel_api_requests_total', 'verb="list",code="401"', turns(0, 1)],
    ['flannel_api_requests_total', 'verb="create",code="403"', `0+1x${END}`],
    ['flannel_netlink_overruns_total', '', turns(0, 1)],
    ['flannel_start_overs_total', '', turns(0, 1)],
    ['process_start_time_seconds', '', upgraded('1000', '2000')],
    ['process_open_fds', '', steady(31)],
    ['process_max_fds', '', steady(1024)],
  ];
  return Object.fromEntries(all.map(([name, labels, values]) => [of(node, name, labels), values]));
}

export const ORDINARY: Series = { ...nodeSeries('n1', 120), ...nodeSeries('n2', 160) };

export interface Fault {
  readonly alert: string;
  /** In place of those of an ordinary day, from an hour on. */
  readonly series: Series;
  /** Labels of the alert, without its name and severity; those of n1's agent when undefined. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Further labels beside those of n1's agent. */
  readonly more?: Readonly<Record<string, string>>;
  /** What the value is in words. */
  readonly value?: string;
  /** What a query inside the text finds. */
  readonly found?: string;
  /** Seconds beyond `for` until the condition holds; default a minute. */
  readonly delay?: number;
  /** Others that fire for the same reason. */
  readonly also?: readonly string[];
}

const n1 = (name: string, values: string, labels = ''): Series => ({ [of('n1', name, labels)]: values });
const n2 = (name: string, values: string, labels = ''): Series => ({ [of('n2', name, labels)]: values });

export const FAULTS: readonly Fault[] = [
  {
    alert: 'FlannelNoAgents',
    series: { ...n1('up', ends(1)), ...n2('up', ends(1)) },
    labels: { job: 'flannel' },
  },
  { alert: 'FlannelAgentDown', series: n1('up', turns(1, 0)) },
  {
    alert: 'FlannelAgentRestarts',
    series: n1('process_start_time_seconds', `1000x${START - 1} 1000+10x${END - START}`),
    value: '14',
    delay: 120,
  },
  {
    alert: 'FlannelVersionsDiffer',
    series: {
      ...n2('flannel_build_info', steady(1), 'version="0.1.0"'),
      ...n2('flannel_build_info', '_', 'version="0.2.0"'),
    },
    labels: {},
    value: '2',
    delay: -30,
  },
  { alert: 'FlannelNotReady', series: n1('flannel_ready', turns(1, 0)), delay: 300 },
  {
    alert: 'FlannelPassesFail',
    series: n1('flannel_reconciles_total', grows(2), 'result="failed"'),
    more: { result: 'failed' },
  },
  {
    alert: 'FlannelRulesFail',
    series: n1('flannel_rule_checks_total', grows(1), 'result="failed"'),
    more: { result: 'failed' },
  },
  {
    alert: 'FlannelRepairsRepeat',
    series: n1('flannel_repairs_total', grows(1), 'kind="route"'),
    more: { kind: 'route' },
    delay: 300,
  },
  { alert: 'FlannelStartsOver', series: n1('flannel_start_overs_total', grows(1)), delay: 300 },
  { alert: 'FlannelNotificationsLost', series: n1('flannel_netlink_overruns_total', grows(1)), delay: 300 },
  { alert: 'FlannelFilesLow', series: n1('process_open_fds', turns(31, 900)), value: '87.89%' },
  {
    alert: 'FlannelFault',
    series: n1('flannel_errors_total', `_x${START} 1x${END - START}`, 'actor="bug",kind="unknown"'),
    more: { actor: 'bug', kind: 'unknown' },
  },
  {
    alert: 'FlannelStoreSilent',
    series: {
      ...n1('flannel_watch_age_seconds', `31x${START - 1} 61+30x${END - START}`),
      ...n1('flannel_ready', turns(1, 0)),
    },
  },
  {
    alert: 'FlannelStoreSilent',
    series: {
      ...n1('flannel_from_memory', turns(0, 1)),
      ...n1('flannel_watch_age_seconds', ends(31)),
      ...n1('flannel_ready', turns(1, 0)),
    },
  },
  {
    alert: 'FlannelApiDenied',
    series: n1('flannel_api_requests_total', grows(0.1), 'verb="patch",code="403"'),
    more: { code: '403' },
    delay: 600,
  },
  {
    alert: 'FlannelNodesDisagree',
    series: n2('flannel_peers_wanted', turns(1, 3)),
    labels: {},
    value: '2',
    found: 'n1 n2 ',
  },
  {
    alert: 'FlannelPeersLeftOut',
    series: {
      ...n1('flannel_peers_left_out', turns(0, 1), 'reason="unreadable"'),
      ...n2('flannel_peers_left_out', turns(0, 2), 'reason="unreadable"'),
    },
    labels: { reason: 'unreadable' },
    value: '2',
    found: 'n2 n1 ',
  },
  {
    alert: 'FlannelPeersRefused',
    series: n1('flannel_peers_left_out', turns(0, 3), 'reason="refused"'),
    more: { reason: 'refused' },
    value: '3',
  },
  { alert: 'FlannelPeersConflict', series: n1('flannel_peer_conflicts', turns(0, 2)), labels: {} },
  {
    alert: 'FlannelAddressesLow',
    series: n1('flannel_subnet_addresses_used', turns(110, 240), 'family="ipv4"'),
    more: { family: 'ipv4' },
    value: '94.86%',
  },
  {
    alert: 'FlannelAddressesExhausted',
    series: n1('flannel_subnet_addresses_used', turns(110, 253), 'family="ipv4"'),
    more: { family: 'ipv4' },
    also: ['FlannelAddressesLow'],
  },
];
