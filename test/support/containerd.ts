import { held } from '#lab/serve/child.ts';
import { mkdirSync, rmdirSync, readdirSync, writeFileSync } from 'node:fs';
import type { Subprocess } from 'bun';
import { WORK } from './cni-machine.ts';
import { eventually } from './eventually.ts';
import { run, type Finished } from './netns.ts';

/** A containerd of its own: root, state and socket below WORK, containers in a containerd namespace of its own. */
export class Containerd implements AsyncDisposable {
  readonly #child: Subprocess;
  readonly #socket: string;
  /** A daemon that takes over what another one kept needs its namespace as well. */
  readonly namespace: string;

  private constructor(child: Subprocess, socket: string, namespace: string) {
    this.#child = child;
    this.#socket = socket;
    this.namespace = namespace;
  }

  /** `dir`: what it keeps is there. */
  static async start(
    dir = `${WORK}/containerd`,
    namespace = `flannel-test-${crypto.randomUUID().slice(0, 8)}`,
  ): Promise<Containerd> {
    mkdirSync(dir, { recursive: true });
    const config =
      `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\n` +
      `disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${dir}/sock"\n`;
    writeFileSync(`${dir}/config.toml`, config);
    const child = Bun.spawn(held(['containerd', '-c', `${dir}/config.toml`]), {
      stdout: Bun.file(`${dir}/log`),
      stderr: Bun.file(`${dir}/log`),
    });
    const daemon = new Containerd(child, `${dir}/sock`, namespace);
    await eventually(() => {
      const { code, stderr } = daemon.ctr(['version']);
      if (code !== 0) throw new Error(`containerd does not answer: ${stderr}`);
    }, 60_000);
    return daemon;
  }

  ctr(args: readonly string[]): Finished {
    return run(this.#argv(args));
  }

  /** Starts `ctr`, whose output can be read while it runs. */
  spawn(args: readonly string[]): Subprocess<'ignore', 'pipe', 'pipe'> {
    return Bun.spawn(this.#argv(args), { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  }

  /** `ctr run --cni`: to the end of the container's program. */
  async run(id: string, rootfs: string, command: readonly string[]): Promise<Finished> {
    const argv = this.#argv(['run', '--rm', '--cni', '--rootfs', rootfs, id, ...command]);
    const child = Bun.spawn(argv, { stdout: 'pipe', stderr: 'pipe' });
    const [stdout, stderr, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A container whose network could not be made stays as it is: `ctr` leaves it to its user.
    for (const id of this.ctr(['task', 'ls', '-q']).stdout.split('\n')) {
      if (id !== '') this.ctr(['task', 'delete', '--force', id]);
    }
    this.#child.kill();
    await this.#child.exited;
    // runc leaves the empty control group of the containerd namespace behind.
    for (const controller of readdirSync('/sys/fs/cgroup')) {
      try {
        rmdirSync(`/sys/fs/cgroup/${controller}/${this.namespace}`);
      } catch {
        // Not a controller, or never made.
      }
    }
  }

  #argv(args: readonly string[]): string[] {
    return ['ctr', '-a', this.#socket, '-n', this.namespace, ...args];
  }
}
