import { readFileSync } from 'node:fs';
import type { Subprocess } from 'bun';
import type { Containerd } from './containerd.ts';
import { eventually } from './eventually.ts';
import type { Container } from './packaging.ts';

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

export interface ContainerStart {
  /** Unique among those that run. */
  readonly id: string;
  /** What the kubelet would find on the host, by the names of the manifest's volumes; and further mounts by destination. */
  readonly volumes: Readonly<Record<string, string>>;
  readonly mounts?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Megabytes and thousandths of a CPU, as the manifest limits this container. Throws on other units. */
export function limitsOf(container: Container): { memory: number; cpuQuota: number } {
  const { memory = '', cpu = '' } = container.resources?.limits ?? {};
  const [, mebibytes] = /^(\d+)Mi$/.exec(memory) ?? [];
  const [, thousandths] = /^(\d+)m$/.exec(cpu) ?? [];
  if (mebibytes === undefined || thousandths === undefined)
    throw new Error(`${container.name}: limits ${memory}, ${cpu}`);
  return { memory: Number(mebibytes) * 1024 * 1024, cpuQuota: (Number(thousandths) * CPU_PERIOD) / 1000 };
}

/** Options of `ctr run` for what the manifest says of a container. Throws on what it cannot say. */
function optionsOf(container: Container, { volumes, mounts = {}, env = {} }: ContainerStart): string[] {
  const { privileged, allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } =
    container.securityContext ?? {};
  if (privileged !== false || allowPrivilegeEscalation !== false || capabilities?.drop?.join(',') !== 'ALL')
    throw new Error(`${container.name}: a security context that this test does not know`);
  const granted = new Set(capabilities.add);
  const { memory, cpuQuota } = limitsOf(container);
  const bind = (from: string, to: string, mode: string): string =>
    `--mount=type=bind,src=${from},dst=${to.replace(/\/$/, '')},options=rbind:${mode}`;
  return [
    '--rm',
    '--net-host',
    '--seccomp',
    ...(readOnlyRootFilesystem === true ? ['--read-only'] : []),
    `--memory-limit=${memory}`,
    `--cpu-period=${CPU_PERIOD}`,
    `--cpu-quota=${cpuQuota}`,
    ...DEFAULTS.filter((name) => !granted.has(name)).map((name) => `--cap-drop=CAP_${name}`),
    ...[...granted].map((name) => `--cap-add=CAP_${name}`),
    ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
    ...container.volumeMounts.map(({ name, mountPath, readOnly = false }) => {
      const from = volumes[name];
      if (from === undefined) throw new Error(`${container.name}: nothing for volume ${name}`);
      return bind(from, mountPath, readOnly ? 'ro' : 'rw');
    }),
    ...Object.entries(mounts).map(([to, from]) => bind(from, to, 'ro')),
  ];
}

/**
 * A container of the manifest, run by containerd as the kubelet has it run: arguments, volumes, capabilities, limits; the
 * host's network, no new privileges, the runtime's seccomp profile.
 */
export class ImageContainer implements AsyncDisposable {
  readonly #daemon: Containerd;
  readonly #id: string;
  readonly #child: Subprocess<'ignore', 'pipe', 'pipe'>;
  readonly #reading: Promise<unknown>;
  #log = '';

  constructor(daemon: Containerd, container: Container, start: ContainerStart) {
    this.#daemon = daemon;
    this.#id = start.id;
    const argv = [...container.command, ...(container.args ?? [])];
    this.#child = daemon.spawn(['run', ...optionsOf(container, start), container.image, start.id, ...argv]);
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
