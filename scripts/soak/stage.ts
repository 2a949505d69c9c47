import { existsSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs';
import { startApiServer } from '#lab/api/server.ts';
import { removeLab } from '#lab/command/down.ts';
import { labProcesses } from '#lab/process/processes.ts';
import { labEnvironment } from '#lab/process/run.ts';
import { buildUnderlay, UNDERLAY_BRIDGE } from '#lab/serve/network.ts';
import { API_PORT, GATEWAY } from '#lab/state/address-plan.ts';
import { labPaths } from '#lab/state/paths.ts';
import { Mac } from '#net/mac.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { Cluster } from './cluster.ts';
import { Ledger } from './ledger.ts';
import { Machine } from './machine.ts';
import type { SoakOptions } from './options.ts';
import { Probes } from './probes.ts';
import type { ProbeReport } from './prober/protocol.ts';
import type { Sample } from './samples.ts';

const SAMPLE_PERIOD = 1000;
const LOOK_PERIOD = 100;

/** Everything that a soak acts on and looks at, until it is cleared away. */
export class Stage {
  readonly #machine = new Machine();
  readonly ledger = new Ledger(this.#machine);
  /** By node. */
  readonly samples = new Map<string, Sample[]>();
  /** Rejects when an agent ends by itself. */
  readonly death: Promise<never>;
  readonly #reject: (error: Error) => void;
  readonly #paths = labPaths(`soak-${process.pid}`, process.env);
  readonly #start = performance.now();
  readonly #namespaces = new Set<string>();
  readonly #stack = new DisposableStack();
  #cluster: Cluster | undefined;
  #report: ProbeReport = { judged: 0, sent: 0, answered: 0, lag: 0, losses: [] };
  #stall = 0;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    // Nobody waits for it yet.
    promise.catch(() => {});
    this.death = promise;
    this.#reject = reject;
  }

  /** The underlay, the API server, the nodes; agents do not run yet, and there are no pods. */
  async build(options: SoakOptions): Promise<Cluster> {
    mkdirSync(this.#paths.folder, { mode: 0o700, recursive: true });
    {
      using net = Rtnetlink.open();
      buildUnderlay(net);
      fixRouterMac(net);
    }
    const env = labEnvironment(this.#paths.folder);
    const api = await startApiServer({ hostname: GATEWAY, port: API_PORT });
    const probes = this.#stack.use(new Probes(env, (report) => this.#take(report)));
    const cluster = new Cluster({
      options,
      paths: this.#paths,
      env,
      api,
      onDeath: (words) => this.#reject(new Error(words)),
      onProbes: async ({ set, ways }) => {
        for (const [pair, way] of ways) this.ledger.know(pair, way);
        await probes.set(set);
      },
    });
    this.#cluster = this.#stack.use(cluster);
    await cluster.build();
    for (const { pid } of cluster.nodes)
      for (const kind of ['net', 'mnt']) this.#namespaces.add(readlinkSync(`/proc/${pid}/ns/${kind}`));
    const timers = [
      setInterval(() => this.sample(false), SAMPLE_PERIOD),
      setInterval(() => this.#machine.look(), LOOK_PERIOD),
    ];
    this.#stack.defer(() => {
      for (const timer of timers) clearInterval(timer);
    });
    return cluster;
  }

  /** s since the beginning. */
  get elapsed(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** What the prober said last. */
  get report(): ProbeReport {
    return this.#report;
  }

  /** The longest stall of the machine since the last call, ms. */
  takeStall(): number {
    const stall = this.#stall;
    this.#stall = 0;
    return stall;
  }

  /** Notes what every agent holds. */
  sample(quiet: boolean): void {
    for (const { name, agent } of this.#cluster?.nodes ?? []) {
      const holding = agent?.holding();
      if (holding === undefined) continue;
      const list = this.samples.get(name) ?? [];
      list.push({ ...holding, at: this.elapsed, quiet });
      this.samples.set(name, list);
    }
  }

  /** Ends all processes and removes all files; what is then still there, in words. */
  clear(): string[] {
    this.#stack.dispose();
    removeLab(this.#paths);
    return [
      ...labProcesses(this.#paths.folder).map((pid) => `process ${pid}`),
      ...(existsSync(this.#paths.folder) ? [this.#paths.folder] : []),
      ...namespacesInUse().filter((id) => this.#namespaces.has(id)),
    ];
  }

  #take(report: ProbeReport): void {
    this.#report = report;
    this.#stall = Math.max(this.#stall, report.lag);
    for (const loss of report.losses) this.ledger.take(loss);
  }
}

/** A bridge takes the lowest MAC of its ports: a port that comes or goes must not give the router another one. */
function fixRouterMac(net: Rtnetlink): void {
  const bridge = net.link(UNDERLAY_BRIDGE);
  if (bridge !== undefined) net.setLink(bridge.index, { mac: Mac.parse('02:00:00:00:00:01') });
}

/** Network and mount namespaces that a process is in. */
function namespacesInUse(): string[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  const ids = pids.flatMap((pid) =>
    ['net', 'mnt'].flatMap((kind) => {
      try {
        return [readlinkSync(`/proc/${pid}/ns/${kind}`)];
      } catch {
        return [];
      }
    }),
  );
  return [...new Set(ids)];
}
