import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { FatCluster } from './fat-cluster.ts';
import type { MemoryLimit } from './memory-limit.ts';
import { until } from './until.ts';

const HEALTH = 18_001;

export interface SubjectOptions {
  readonly cluster: FatCluster;
  readonly limit: MemoryLimit;
  /** The executable. */
  readonly program: string;
  /** Further flags. */
  readonly args?: readonly string[];
}

/** The agent that is measured, as a process in a memory cgroup. */
export class Subject implements AsyncDisposable {
  readonly #child: Bun.Subprocess;
  readonly #work: string;
  readonly #rtnetlink = Rtnetlink.open();
  /** When it was started, `performance.now()`. */
  readonly started: number;

  constructor({ cluster, limit, program, args: more = [] }: SubjectOptions) {
    this.#work = mkdtempSync('/tmp/flannel-bench-');
    const netConf = '{"Network":"10.0.0.0/8","EnableNFTables":true,"Backend":{"Type":"vxlan"}}';
    writeFileSync(`${this.#work}/net-conf.json`, netConf);
    const args = [
      '--kube-subnet-mgr',
      '--ip-masq',
      `--kube-api-url=${cluster.url}`,
      `--subnet-file=${this.#work}/run/subnet.env`,
      `--net-config-path=${this.#work}/net-conf.json`,
      `--healthz-port=${HEALTH}`,
      '--healthz-ip=127.0.0.1',
      '--v=1',
      ...more,
    ];
    const spawn = () =>
      Bun.spawn([program, ...args], {
        argv0: 'flanneld',
        env: { PATH: process.env['PATH'] ?? '', NODE_NAME: 'node-00000' },
        stdout: 'ignore',
        stderr: Bun.file(`${this.#work}/log`),
      });
    this.started = performance.now();
    this.#child = limit.within(spawn);
  }

  /** Where flannelctl asks it. */
  get socket(): string {
    return `${this.#work}/run/agent.sock`;
  }

  get log(): string {
    return readFileSync(`${this.#work}/log`, 'utf8');
  }

  /** Throws with the log's end when it is no longer there. */
  check(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null)
      throw new Error(`flanneld ended (${exitCode ?? signalCode}): ${this.log.slice(-2000)}`);
  }

  async ready(timeout = 60_000): Promise<void> {
    const answer = () =>
      fetch(`http://127.0.0.1:${HEALTH}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(
      'ready',
      () => {
        this.check();
        return answer();
      },
      // Each question costs the agent half a millisecond of the CPU time that is measured.
      { timeout, pause: 20 },
    );
  }

  /** Routes of peers in the kernel. */
  routes(): number {
    const link = this.#rtnetlink.link('flannel.1')?.index ?? 0;
    const routes = this.#rtnetlink.routes({ family: 'ipv4', link });
    return routes.filter(({ gateway }) => gateway !== undefined).length;
  }

  /** CPU time so far, user and system, all threads, ms. */
  cpuMs(): { readonly user: number; readonly system: number; readonly all: number } {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    const [user, system] = [Number(stat[11]) * 10, Number(stat[12]) * 10];
    return { user, system, all: user + system };
  }

  /** A field of /proc/<pid>/status in MiB: VmRSS, RssAnon, VmHWM. */
  memory(field: string): number {
    const text = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
  }

  /** Durations of full passes that found nothing, as the log tells them, ms. */
  idlePasses(): number[] {
    return [...this.log.matchAll(/full pass ms=(\d+) found=0 /g)].map((match) => Number(match[1]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#child.exited;
    if (this.#rtnetlink.link('flannel.1') !== undefined) this.#rtnetlink.deleteLink('flannel.1');
    this.#rtnetlink[Symbol.dispose]();
    rmSync(this.#work, { recursive: true, force: true });
  }
}
