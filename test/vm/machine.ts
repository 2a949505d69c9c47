import { held } from '#lab/serve/child.ts';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { must, run } from '../support/netns.ts';

/** Debian's kernel for virtual machines: it filters VLANs, has veth as a module and boots in seconds. */
const KERNEL = 'linux-image-cloud-amd64';
const MODULES = ['net/llc/llc', 'net/802/stp', 'net/bridge/bridge', 'drivers/net/veth'];
/** Longest life of the machine, ms: it takes five seconds on an idle host, and there is no hardware to help it. */
const LIMIT = 50_000;
/** After this long a machine that stalls is not started again, ms. */
const PATIENCE = 90_000;
/**
 * Now and then the emulated clock stands still while the kernel starts: a machine that has said nothing by then, ms, is
 * started again.
 */
const SILENCE = 15_000;
const TRIES = 6;

export interface Kernel {
  readonly image: string;
  /** Folder of its modules' tree. */
  readonly modules: string;
}

/** Fetches and unpacks the kernel below `dir`, once. Throws when Debian's archive does not give it. */
export function fetchKernel(dir: string): Kernel {
  const found = (): Kernel | undefined => {
    const images = existsSync(`${dir}/boot`) ? readdirSync(`${dir}/boot`) : [];
    const image = images.find((name) => name.startsWith('vmlinuz-'));
    if (image === undefined) return undefined;
    return {
      image: `${dir}/boot/${image}`,
      modules: `${dir}/lib/modules/${image.slice('vmlinuz-'.length)}/kernel`,
    };
  };
  const there = found();
  if (there !== undefined) return there;
  const dependency = () =>
    /Depends: (linux-image-\S+)/.exec(run(['apt-cache', 'depends', '--important', KERNEL]).stdout)?.[1];
  let name = dependency();
  if (name === undefined) {
    // A machine that has every other package may never have read the archive's lists.
    must(['apt-get', 'update', '-qq']);
    name = dependency();
  }
  if (name === undefined) throw new Error(`Debian's archive has no ${KERNEL}`);
  mkdirSync(dir, { recursive: true });
  must(['env', '-C', dir, 'apt-get', 'download', '-qq', name]);
  const archive = readdirSync(dir).find((file) => file.endsWith('.deb'));
  if (archive === undefined) throw new Error(`apt-get has downloaded no ${name}`);
  must(['dpkg-deb', '-x', `${dir}/${archive}`, dir]);
  rmSync(`${dir}/${archive}`);
  const kernel = found();
  if (kernel === undefined) throw new Error(`${name} holds no kernel`);
  return kernel;
}

/** Boots `kernel` with `root` as its file system in memory; the lines of its console. */
export async function boot(kernel: Kernel, root: string): Promise<string[]> {
  mkdirSync(`${root}/modules`, { recursive: true });
  for (const module of MODULES) {
    copyFileSync(`${kernel.modules}/${module}.ko`, `${root}/modules/${module.split('/').at(-1)}.ko`);
  }
  const image = `${root}.cpio`;
  const files = must(['env', '-C', root, 'find', '.']);
  const packed = Bun.spawnSync(['cpio', '-o', '-H', 'newc', '--quiet'], {
    cwd: root,
    stdin: Buffer.from(files),
    stdout: Bun.file(image),
  });
  if (!packed.success) throw new Error('cpio failed');
  const console = `${root}.console`;
  const start = performance.now();
  for (let tries = 1; ; tries += 1) {
    const { text, stalled } = await runMachine(['-kernel', kernel.image, '-initrd', image], console);
    if (!stalled || tries === TRIES || performance.now() - start > PATIENCE) {
      rmSync(image);
      return text.replaceAll('\r', '').split('\n');
    }
  }
}

/** Console to a file: on a pipe the emulator may wait for ever. */
async function runMachine(
  system: readonly string[],
  console: string,
): Promise<{ text: string; stalled: boolean }> {
  const machine = ['-M', 'pc', '-accel', 'tcg,thread=single', '-cpu', 'max', '-m', '1024', '-no-reboot'];
  const devices = ['-display', 'none', '-monitor', 'none', '-serial', `file:${console}`];
  const append = ['-append', 'console=ttyS0 quiet panic=-1'];
  const child = Bun.spawn(held(['qemu-system-x86_64', ...machine, ...devices, ...system, ...append]), {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  });
  const silent = setTimeout(() => {
    if (readFileSync(console, 'utf8') === '') child.kill('SIGKILL');
  }, SILENCE);
  await child.exited;
  clearTimeout(silent);
  return { text: readFileSync(console, 'utf8'), stalled: child.signalCode !== null };
}

/** Copies a program with the libraries that it is linked with to where it is to be below `root`. */
export function installProgram(root: string, from: string, to: string): void {
  const libraries = [...run(['ldd', from]).stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  for (const [source, target] of [[from, to] as const, ...libraries.map((path) => [path, path] as const)]) {
    mkdirSync(dirname(join(root, target)), { recursive: true });
    copyFileSync(source, join(root, target));
    chmodSync(join(root, target), 0o755);
  }
}
