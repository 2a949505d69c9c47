/** A panel of the dashboard. */
export interface Panel {
  readonly type: 'stat' | 'timeseries' | 'table';
  readonly title: string;
  /** What it says, and when to worry. */
  readonly description: string;
  /** Expressions with their legends. */
  readonly queries: readonly (readonly [expr: string, legend?: string])[];
  /** Grafana's name of the unit. */
  readonly unit: string;
  /** Width in columns of 24, height in units of the grid. */
  readonly w: number;
  readonly h: number;
  /** Colour from a value on; below the first it is green. */
  readonly limits?: readonly (readonly [from: number, color: string])[];
  /** Units of a table's columns. */
  readonly units?: Readonly<Record<string, string>>;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** What the variables choose. */
const CHOSEN = 'cluster=~"$cluster", job=~"$job", node=~"$node"';
const one = (name: string, more = '') => `${name}{${CHOSEN}${more === '' ? '' : `, ${more}`}}`;
const increase = (name: string, over = '$__rate_interval') => `increase(${one(name)}[${over}])`;
const rate = (name: string) => `rate(${one(name)}[$__rate_interval])`;
/** Thousands of nodes would be thousands of lines. */
const worst = (expr: string) => `topk(10, ${expr})`;

type Look = Pick<Panel, 'title' | 'description' | 'queries'> & Partial<Panel>;
const stat = (look: Look): Panel => ({ type: 'stat', unit: 'none', w: 4, h: 4, ...look });
const chart = (look: Look): Panel => ({ type: 'timeseries', unit: 'short', w: 8, h: 8, ...look });

const RED_FROM_1 = [[1, 'red']] as const;
const USED = `${one('flannel_subnet_addresses_used')} / ${one('flannel_subnet_addresses')}`;
const MISSING = `${one('flannel_peers_wanted')} - ${one('flannel_peers_programmed')}`;

const OVERVIEW: Row = {
  title: 'Overview',
  panels: [
    stat({
      title: 'Nodes',
      description: 'Nodes whose agent answers.',
      queries: [[`count(${one('flannel_build_info')})`]],
    }),
    stat({
      title: 'Not ready',
      description: '/readyz says why; flannelctl doctor on that node what mends it.',
      queries: [[`count(${one('flannel_ready')} == 0) or vector(0)`]],
      limits: RED_FROM_1,
    }),
    stat({
      title: 'Peers not reached',
      description: 'The most that one node leaves out; flannelctl peers names them.',
      queries: [[`max(${MISSING})`]],
      limits: RED_FROM_1,
    }),
    stat({
      title: 'Oldest word of the store',
      description:
        'Since the Kubernetes API or etcd was last heard of, at the node where it is longest. Up to half a minute is quiet.',
      queries: [[`max(${one('flannel_watch_age_seconds')})`]],
      unit: 's',
      limits: [
        [45, 'orange'],
        [60, 'red'],
      ],
    }),
    stat({
      title: 'Repairs in an hour',
      description: 'What somebody else had changed and the agents have put right.',
      queries: [[`sum(${increase('flannel_repairs_total', '1h')})`]],
      limits: [[5, 'orange']],
    }),
    stat({
      title: 'Fullest subnet',
      description: 'Share of the pod addresses in use, at the node where it is largest.',
      queries: [[`max(${USED})`]],
      unit: 'percentunit',
      limits: [
        [0.9, 'orange'],
        [1, 'red'],
      ],
    }),
  ],
};

const NODES: Row = {
  title: 'Nodes and peers',
  panels: [
    chart({
      title: 'Nodes ready',
      description:
        'Agents that answer, and those of them that are ready. The lines should lie upon each other.',
      queries: [
        [`count(${one('flannel_ready')})`, 'answer'],
        [`sum(${one('flannel_ready')})`, 'ready'],
        [`sum(${one('flannel_from_memory')})`, 'from memory'],
      ],
    }),
    chart({
      title: 'Peers, wanted and programmed',
      description: 'Of one node: the most that are wanted, and the fewest that are in the kernel.',
      queries: [
        [`max(${one('flannel_peers_wanted')})`, 'wanted'],
        [`min(${one('flannel_peers_programmed')})`, 'programmed'],
      ],
    }),
    chart({
      title: 'Peers left out, by reason',
      description: 'Summed over all nodes: a peer that publishes nonsense counts once at each of the others.',
      queries: [
        [`sum by (reason) (${one('flannel_peers_left_out')})`, '{{reason}}'],
        [`max(${one('flannel_peer_conflicts')})`, 'conflicting entries'],
      ],
    }),
    {
      type: 'table',
      title: 'Nodes in trouble',
      description: 'The state of each node, the twenty with the most peers not reached.',
      unit: 'none',
      w: 16,
      h: 8,
      queries: [
        [`topk(20, sum by (node, instance) (${MISSING}))`, 'not reached'],
        [`min by (node, instance) (${one('flannel_ready')})`, 'ready'],
        [`max by (node, instance) (${one('flannel_watch_age_seconds')})`, 'store heard of'],
        [`max by (node, instance) (${USED})`, 'addresses used'],
      ],
      units: { 'store heard of': 's', 'addresses used': 'percentunit' },
    },
    chart({
      title: 'Versions',
      description: 'Nodes by version of the agent.',
      queries: [[`count by (version) (${one('flannel_build_info')})`, '{{version}}']],
    }),
  ],
};

const KERNEL: Row = {
  title: 'The kernel',
  panels: [
    chart({
      title: 'Repairs, by kind',
      description: 'What somebody else had changed. Again and again: flannelctl doctor --only repairs.',
      queries: [[`sum by (kind) (${increase('flannel_repairs_total')})`, '{{kind}}']],
    }),
    chart({
      title: 'Full passes and rule checks, by result',
      description: 'Failed: the kernel refuses something. The first pass of an agent counts as repaired.',
      queries: [
        [`sum by (result) (${increase('flannel_reconciles_total')})`, 'pass {{result}}'],
        [`sum by (result) (${increase('flannel_rule_checks_total')})`, 'rules {{result}}'],
      ],
    }),
    chart({
      title: 'Duration of full passes',
      description: 'Everything in the kernel compared with the plan.',
      unit: 's',
      queries: [0.5, 0.9, 0.99].map((quantile) => [
        `histogram_quantile(${quantile}, sum by (le) (${rate('flannel_reconcile_duration_seconds_bucket')}))`,
        `${quantile * 100} %`,
      ]),
    }),
    chart({
      title: 'Planned entries, by kind',
      description: 'Of the node with the most.',
      queries: [[`max by (kind) (${one('flannel_kernel_entries')})`, '{{kind}}']],
    }),
    chart({
      title: 'Starts over, lost notifications',
      description: 'Another subnet, configuration or interface; more events than the agent could read.',
      queries: [
        [`sum(${increase('flannel_start_overs_total')})`, 'starts over'],
        [`sum(${increase('flannel_netlink_overruns_total')})`, 'lost notifications'],
      ],
    }),
    chart({
      title: 'Errors, by who has to act',
      description: 'Actor and kind of each error: an errno, an HTTP status, a failure of the connection.',
      queries: [[`sum by (actor, kind) (${increase('flannel_errors_total')})`, '{{actor}} {{kind}}']],
    }),
  ],
};

const STORE: Row = {
  title: 'The store',
  panels: [
    chart({
      title: 'Word of the store, ten oldest',
      description: 'Since the Kubernetes API or etcd was last heard of; over a minute the node is not ready.',
      unit: 's',
      queries: [[worst(one('flannel_watch_age_seconds')), '{{node}}']],
    }),
    chart({
      title: 'API requests, by verb and code',
      description: 'Per second. Not an HTTP status: why there was none.',
      unit: 'reqps',
      queries: [[`sum by (verb, code) (${rate('flannel_api_requests_total')})`, '{{verb}} {{code}}']],
    }),
    chart({
      title: 'Watches, lists, leases written',
      description: 'Watches that were opened again by reason; whole lists; writes of own leases.',
      queries: [
        [`sum by (reason) (${increase('flannel_watch_restarts_total')})`, 'watch {{reason}}'],
        [`sum(${increase('flannel_lists_total')})`, 'lists'],
        [`sum(${increase('flannel_lease_publishes_total')})`, 'leases written'],
      ],
    }),
  ],
};

const PODS: Row = {
  title: 'Pod addresses',
  panels: [
    chart({
      title: 'Addresses in use, ten fullest nodes',
      description: 'Share of what host-local can hand out.',
      unit: 'percentunit',
      queries: [[worst(USED), '{{node}} {{family}}']],
    }),
    chart({
      title: 'Addresses free, ten fullest nodes',
      description: 'None left: new pods stay in ContainerCreating.',
      queries: [
        [
          `bottomk(10, ${one('flannel_subnet_addresses')} - ${one('flannel_subnet_addresses_used')})`,
          '{{node}} {{family}}',
        ],
      ],
    }),
    chart({
      title: 'Addresses in use; freed',
      description: 'Summed over all nodes; freed are those whose container went without a word.',
      queries: [
        [`sum by (family) (${one('flannel_subnet_addresses_used')})`, 'in use {{family}}'],
        [`sum(${increase('flannel_addresses_freed_total')})`, 'freed'],
      ],
    }),
  ],
};

const PROCESS: Row = {
  title: 'The agents',
  panels: [
    chart({
      title: 'Memory, ten largest',
      description: 'Resident, with the pages of the executable, which all processes of it share.',
      unit: 'bytes',
      queries: [[worst(one('process_resident_memory_bytes')), '{{node}}']],
    }),
    chart({
      title: 'CPU, ten busiest',
      description: 'Share of one core.',
      unit: 'percentunit',
      queries: [[worst(rate('process_cpu_seconds_total')), '{{node}}']],
    }),
    chart({
      title: 'Restarts; open files',
      description:
        'Starts of agents within an hour; the largest share of its file descriptors that one has open.',
      queries: [
        [`sum(changes(${one('process_start_time_seconds')}[1h]))`, 'restarts'],
        [`max(${one('process_open_fds')} / ${one('process_max_fds')}) * 100`, 'open files, %'],
      ],
    }),
  ],
};

export const ROWS: readonly Row[] = [OVERVIEW, NODES, KERNEL, STORE, PODS, PROCESS];
