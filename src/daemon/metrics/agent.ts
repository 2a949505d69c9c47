import { type Actor, FlannelError } from '#base/errors.ts';
import { type Counter, type Histogram, Registry, type Sample } from '#base/metrics.ts';
import { VERSION } from '#base/version.ts';
import type { CountedRequest } from '#clients/k8s/transport.ts';
import { MENDED_KINDS, type MendedKind, type PassReport } from '#host/pass.ts';
import { WATCH_ENDS, type WatchEnd } from '#subnet/observer.ts';
import type { PeersSummary } from '../peers-summary.ts';
import { declareProcess } from './process.ts';

/** What is mended when somebody else has changed it. */
export type RepairKind = MendedKind | 'rules' | 'sysctl' | 'subnet_file' | 'lease';

const REPAIR_KINDS: readonly RepairKind[] = [...MENDED_KINDS, 'rules', 'sysctl', 'subnet_file', 'lease'];

/** How a pass or a check of the rules went. */
const RESULTS = ['unchanged', 'repaired', 'failed'] as const;
type Result = (typeof RESULTS)[number];

/** What is read at a scrape: the state of the run that is under way. */
export interface RunView {
  readonly ready: boolean;
  /** The peers are those of an earlier run. */
  readonly fromMemory: boolean;
  /** Undefined until they are known. */
  peers(): PeersSummary | undefined;
  /** Number of planned objects in the kernel by kind. */
  planned(): Iterable<Sample>;
  /** Seconds since the store was last heard of; undefined before the first time. */
  contactAge(): number | undefined;
  /** Number of addresses in this node's subnets by family. */
  addresses(): Iterable<Sample>;
  /** How many of them are reserved; none where that cannot be seen. */
  addressesUsed(): Iterable<Sample>;
}

/** Everything that the agent counts, for the life of the process: a run that starts over goes on counting. */
export class AgentMetrics {
  readonly #registry = new Registry();
  readonly #passes: Counter<'result'>;
  readonly #duration: Histogram;
  readonly #ruleChecks: Counter<'result'>;
  readonly #repairs: Counter<'kind'>;
  readonly #errors: Counter<'actor' | 'kind'>;
  readonly #requests: Counter<'verb' | 'code'>;
  readonly #lists: Counter<never>;
  readonly #watchRestarts: Counter<'reason'>;
  readonly #publishes: Counter<never>;
  readonly #overruns: Counter<never>;
  readonly #startOvers: Counter<never>;
  readonly #freed: Counter<never>;
  #view: RunView | undefined;

  constructor() {
    const registry = this.#registry;
    const build = { version: VERSION, bun: Bun.version, arch: process.arch };
    registry.read({
      name: 'flannel_build_info',
      type: 'gauge',
      help: 'Always 1; the labels say which build this is.',
      read: () => [[build, 1]],
    });
    this.#declareState();
    this.#duration = registry.histogram({
      name: 'flannel_reconcile_duration_seconds',
      help: 'Duration of full passes, which compare everything in the kernel with the plan.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    });
    const results = RESULTS.map((result) => ({ result }));
    this.#passes = registry.counter<'result'>({
      name: 'flannel_reconciles_total',
      help: 'Full passes by their result.',
      start: results,
    });
    this.#ruleChecks = registry.counter<'result'>({
      name: 'flannel_rule_checks_total',
      help: 'Checks of the traffic rules by their result.',
      start: results,
    });
    this.#repairs = registry.counter<'kind'>({
      name: 'flannel_repairs_total',
      help: 'What somebody else had changed and the agent has put right, by kind.',
      start: REPAIR_KINDS.map((kind) => ({ kind })),
    });
    this.#errors = registry.counter<'actor' | 'kind'>({
      name: 'flannel_errors_total',
      help: 'Errors by who has to act and by what they are: an errno, an HTTP status, a class.',
    });
    this.#requests = registry.counter<'verb' | 'code'>({
      name: 'flannel_api_requests_total',
      help: 'Requests to the Kubernetes API by verb and by HTTP status or reason of failure.',
    });
    this.#lists = registry.counter({
      name: 'flannel_lists_total',
      help: 'Whole lists of Nodes or leases that were read.',
      start: [{}],
    });
    this.#watchRestarts = registry.counter<'reason'>({
      name: 'flannel_watch_restarts_total',
      help: 'Watches that came to an end and were opened again, by reason.',
      start: WATCH_ENDS.map((reason) => ({ reason })),
    });
    this.#publishes = registry.counter({
      name: 'flannel_lease_publishes_total',
      help: "Writes of this node's lease: its annotations, or its key in etcd.",
      start: [{}],
    });
    this.#overruns = registry.counter({
      name: 'flannel_netlink_overruns_total',
      help: 'Times that notifications of the kernel were lost; each is followed by a full pass.',
      start: [{}],
    });
    this.#startOvers = registry.counter({
      name: 'flannel_start_overs_total',
      help: 'Times that the agent began anew with another subnet or external interface.',
      start: [{}],
    });
    this.#freed = registry.counter({
      name: 'flannel_addresses_freed_total',
      help: 'Reserved addresses that were freed because their container is gone.',
      start: [{}],
    });
    declareProcess(registry);
  }

  /** The run that gauges are read from. */
  follow(view: RunView): void {
    this.#view = view;
  }

  render(): string {
    return this.#registry.render();
  }

  list(): ReturnType<Registry['list']> {
    return this.#registry.list();
  }

  passed(report: PassReport, seconds: number): void {
    this.#duration.observe(seconds);
    const { errors, foundCount } = report;
    this.#passes.add({ result: resultOf(errors.length > 0, foundCount) });
    for (const error of errors) this.failed(error);
  }

  rulesChecked(failed: boolean, repaired: number): void {
    this.#ruleChecks.add({ result: resultOf(failed, repaired) });
  }

  repaired(kind: RepairKind, count: number): void {
    this.#repairs.add({ kind }, count);
  }

  failed(error: unknown): void {
    const known = error instanceof FlannelError;
    const actor: Actor = known ? error.actor : 'bug';
    this.#errors.add({ actor, kind: known ? error.kind : 'unknown' });
  }

  requested({ verb, code }: CountedRequest): void {
    this.#requests.add({ verb, code: String(code) });
  }

  listed(): void {
    this.#lists.add({});
  }

  watchEnded(reason: WatchEnd): void {
    this.#watchRestarts.add({ reason });
  }

  published(): void {
    this.#publishes.add({});
  }

  overrun(): void {
    this.#overruns.add({});
  }

  startedOver(): void {
    this.#startOvers.add({});
  }

  freed(count: number): void {
    this.#freed.add({}, count);
  }

  #declareState(): void {
    const gauge = (
      name: string,
      help: string,
      read: (view: RunView) => number | Iterable<Sample> | undefined,
    ) =>
      this.#registry.read({
        name,
        help,
        type: 'gauge',
        read: () => (this.#view === undefined ? undefined : read(this.#view)),
      });
    gauge('flannel_ready', '1 when /readyz answers 200, else 0.', (view) => Number(view.ready));
    gauge(
      'flannel_from_memory',
      '1 while the peers are those of an earlier run, because the store has not told its own yet.',
      (view) => Number(view.fromMemory),
    );
    gauge('flannel_leases', "Leases that are known, this node's own included.", (view) => {
      const peers = view.peers();
      return peers === undefined ? undefined : peers.leases + 1;
    });
    gauge(
      'flannel_peers_wanted',
      'Nodes that take part in the network, without this one.',
      (view) => view.peers()?.wanted,
    );
    gauge(
      'flannel_peers_programmed',
      'Peers with all of their entries in the kernel.',
      (view) => view.peers()?.programmed,
    );
    gauge(
      'flannel_peers_left_out',
      'Peers that cannot be reached, or not in every family, by reason.',
      (view) => {
        const leftOut = view.peers()?.leftOut;
        return leftOut === undefined
          ? undefined
          : [...leftOut].map(([reason, count]) => [{ reason }, count] as const);
      },
    );
    gauge(
      'flannel_peer_conflicts',
      'Kernel entries that two peers claim; the first by name has them.',
      (view) => view.peers()?.conflicts,
    );
    gauge('flannel_kernel_entries', 'Objects that the plan wants in the kernel, by kind.', (view) =>
      view.planned(),
    );
    gauge(
      'flannel_watch_age_seconds',
      'Time since the store, Kubernetes API or etcd, was last heard of.',
      (view) => view.contactAge(),
    );
    gauge(
      'flannel_subnet_addresses',
      "Addresses that host-local can hand out in this node's subnet, by family.",
      (view) => view.addresses(),
    );
    gauge(
      'flannel_subnet_addresses_used',
      'Those of them that are reserved; missing where the reservations cannot be seen.',
      (view) => view.addressesUsed(),
    );
  }
}

function resultOf(failed: boolean, repaired: number): Result {
  if (failed) return 'failed';
  return repaired > 0 ? 'repaired' : 'unchanged';
}
