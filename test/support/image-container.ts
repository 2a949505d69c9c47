import { readFileSync } from 'node:fs';
import type { Subprocess } from 'bun';
import type { Containerd } from './containerd.ts';
import { eventually } from './eventually.ts';

/** What the manifest asks for: `resources.limits` of 100m and 50Mi. */
export const LIMITS = { memory: 50 * 1024 * 1024, cpuPercent: 10 } as const;
const CPU_PERIOD = 100_000;

/** What `ctr` grants without being asked, as container runtimes do. */
const DEFAULTS = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
];

export interface ContainerSpec {
  readonly image: string;
  readonly id: string;
  /** Program and arguments; empty runs the image's entry point. */
  readonly argv?: readonly string[];
  /** `source:ro` or `source:rw` by destination. */
  readonly mounts?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Without CAP_; all others are dropped. */
  readonly capabilities?: readonly string[];
}

/**
 * A container of the image as the manifest starts it: host network, read-only root file system, no new privileges, the
 * runtime's seccomp profile, limits of memory and CPU.
 */
export class ImageContainer implements AsyncDisposable {
  readonly #daemon: Containerd;
  readonly #id: string;
  readonly #child: Subprocess<'ignore', 'pipe', 'pipe'>;
  readonly #reading: Promise<unknown>;
  #log = '';

  constructor(daemon: Containerd, spec: ContainerSpec) {
    const { image, id, argv = [], mounts = {}, env = {}, capabilities = [] } = spec;
    this.#daemon = daemon;
    this.#id = id;
    const granted = new Set(capabilities);
    const options = [
      '--rm',
      '--net-host',
      '--read-only',
      '--seccomp',
      `--memory-limit=${LIMITS.memory}`,
      `--cpu-period=${CPU_PERIOD}`,
      `--cpu-quota=${(CPU_PERIOD * LIMITS.cpuPercent) / 100}`,
      ...DEFAULTS.filter((name) => !granted.has(name)).map((name) => `--cap-drop=CAP_${name}`),
      ...[...granted].map((name) => `--cap-add=CAP_${name}`),
      ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
      ...Object.entries(mounts).map(([path, source]) => {
        const [from = '', mode = ''] = source.split(':');
        return `--mount=type=bind,src=${from},dst=${path},options=rbind:${mode}`;
      }),
    ];
    this.#child = daemon.spawn(['run', ...options, image, id, ...argv]);
    this.#reading = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
  }

  /** Standard output and standard error so far. */
  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#child.exitCode === null;
  }

  /** Of its first process, in our own process namespace. */
  get pid(): number {
    const { stdout } = this.#daemon.ctr(['task', 'ls']);
    const pid = new RegExp(`^${this.#id} +(\\d+) `, 'm').exec(stdout)?.[1];
    if (pid === undefined) throw new Error(`${this.#id} does not run: ${stdout}${this.#log}`);
    return Number(pid);
  }

  /** A file of its control group, e.g. `memory`, `memory.limit_in_bytes`; the second version has one group for all. */
  cgroup(controller: string, file: string): string {
    const groups = readFileSync(`/proc/${this.pid}/cgroup`, 'utf8');
    const first = new RegExp(`^\\d+:(?:\\w+,)*${controller}(?:,\\w+)*:(.*)$`, 'm').exec(groups)?.[1];
    const path = first === undefined ? /^0::(.*)$/m.exec(groups)?.[1] : `/${controller}${first}`;
    return readFileSync(`/sys/fs/cgroup${path}/${file}`, 'utf8').trim();
  }

  /** Its exit code, when it has ended. */
  async exited(): Promise<number> {
    const code = await this.#child.exited;
    await this.#reading;
    return code;
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    await eventually(() => {
      const { code, stderr } = this.#daemon.ctr(['task', 'kill', '--signal', signal, this.#id]);
      if (code !== 0 && this.running) throw new Error(stderr);
    });
    return this.exited();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop('SIGKILL');
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.#log += decoder.decode(chunk, { stream: true });
  }
}
