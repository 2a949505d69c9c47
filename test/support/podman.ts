import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { WORK } from './cni-machine.ts';
import { run, type Finished } from './netns.ts';

/** Debian's build still has the CNI backend. Storage, state and configuration below WORK. */
export class Podman implements Disposable {
  readonly #argv: readonly string[];
  readonly #env: Record<string, string>;

  constructor(network: string) {
    const dir = `${WORK}/podman`;
    mkdirSync(dir, { recursive: true });
    writeFileSync(
      `${dir}/containers.conf`,
      '[network]\nnetwork_backend = "cni"\ncni_plugin_dirs = ["/opt/cni/bin"]\n' +
        `network_config_dir = "/etc/cni/net.d"\ndefault_network = "${network}"\n` +
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n' +
        '[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n',
    );
    this.#env = { PATH: process.env['PATH'] ?? '', CONTAINERS_CONF: `${dir}/containers.conf` };
    const folders = ['--root', `${dir}/root`, '--runroot', `${dir}/runroot`, '--tmpdir', `${dir}/tmp`];
    this.#argv = ['podman', ...folders, '--storage-driver', 'vfs'];
  }

  call(args: readonly string[]): Finished {
    const done = Bun.spawnSync([...this.#argv, ...args], { env: this.#env, stdout: 'pipe', stderr: 'pipe' });
    return { code: done.exitCode, stdout: done.stdout.toString(), stderr: done.stderr.toString() };
  }

  must(args: readonly string[]): string {
    const { code, stdout, stderr } = this.call(args);
    if (code !== 0) throw new Error(`podman ${args.join(' ')}: ${code}: ${stderr}`);
    return stdout.trim();
  }

  [Symbol.dispose](): void {
    this.call(['rm', '--all', '--force', '--time', '0']);
    // Empty control groups of containers that are gone: the deepest first.
    for (const controller of readdirSync('/sys/fs/cgroup')) {
      const { stdout } = run(['find', `/sys/fs/cgroup/${controller}/libpod_parent`, '-depth', '-type', 'd']);
      for (const path of stdout.split('\n').filter((line) => line !== '')) {
        try {
          rmdirSync(path);
        } catch {
          // Somebody else's podman has a container in it.
        }
      }
    }
  }
}
