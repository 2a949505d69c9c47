// The layer under the executable: what comes from Debian, and the few files that any program expects.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { type DebianPackage, RELEASE } from './debian.ts';
import { type ElfNeeds, readElf } from './elf.ts';
import { FileTree } from './file-tree.ts';
import type { Entry } from './tar.ts';

/** Of the manifest and of container runtimes. */
const MOUNT_POINTS = [
  'dev',
  'proc',
  'sys',
  'run/flannel',
  'run/netns',
  'etc/kube-flannel',
  'etc/cni/net.d',
  'opt/cni/bin',
  'var/lib/cni/networks',
] as const;

/** Debian's name of the folder of libraries, by `e_machine` of `elf.h`. */
const TRIPLETS: Readonly<Record<number, string>> = { 62: 'x86_64-linux-gnu', 183: 'aarch64-linux-gnu' };

/** Both variants; the agent finds out which one the host uses. Without a variant in the name: that of Debian's default. */
const IPTABLES = [
  ['xtables-nft-multi', ['', '-nft']],
  ['xtables-legacy-multi', ['-legacy']],
] as const;

export interface Base {
  readonly entries: readonly Entry[];
  /** The packages of which something was taken. */
  readonly packages: readonly DebianPackage[];
  /** Bytes by part. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Gathers the layer: of each package only what `executable`, our program, and iptables load. Pure but for reading files. */
export function baseLayer(packages: readonly DebianPackage[], executable: string): Base {
  const program = readElf(readFileSync(executable));
  const triplet = TRIPLETS[program?.machine ?? 0];
  if (program === undefined || triplet === undefined)
    throw new Error(`${executable} is no executable for an image`);
  const tree = new FileTree();
  const source = new DebianFiles(packages, triplet);
  folders(tree);
  settings(tree);
  const needs: ElfNeeds[] = [program];
  const add = (part: string, from: string, to: string): void => {
    const bytes = source.read(from);
    tree.file(part, to, { bytes, mode: 0o755 });
    const elf = readElf(bytes);
    if (elf !== undefined) needs.push(elf);
  };
  for (const [name, variants] of IPTABLES) {
    add('iptables', `usr/sbin/${name}`, `usr/sbin/${name}`);
    for (const variant of variants) {
      for (const family of ['iptables', 'ip6tables'])
        for (const action of ['', '-save', '-restore'])
          tree.symlink(`usr/sbin/${family}${variant}${action}`, name);
    }
  }
  const extensions = `usr/lib/${triplet}/xtables`;
  for (const name of source.list(extensions)) {
    // Rules of others are read as well, whatever they match; those of arptables and ebtables are not.
    if (/^lib(xt|ipt|ip6t)_/.test(name))
      add('iptables extensions', `${extensions}/${name}`, `${extensions}/${name}`);
  }
  libraries(tree, { source, triplet, needs });
  const roots = source.list('usr/share/ca-certificates/mozilla');
  const bundle = roots.map((name) => source.read(`usr/share/ca-certificates/mozilla/${name}`));
  tree.file('CA certificates', 'etc/ssl/certs/ca-certificates.crt', { bytes: Buffer.concat(bundle) });
  const used = packages.filter((one) => source.used.has(one));
  for (const one of used) {
    const copyright = `usr/share/doc/${one.name}/copyright`;
    tree.file('licences', copyright, { bytes: readFileSync(`${one.root}/${copyright}`) });
    // Where scanners look for packages in images without dpkg.
    tree.file('package list', `var/lib/dpkg/status.d/${one.name}`, { bytes: Buffer.from(one.control) });
  }
  return { entries: tree.entries(), packages: used, sizes: tree.sizes };
}

/** Mount points of the manifest, so that a read-only root file system needs no other; and what programs take for granted. */
function folders(tree: FileTree): void {
  for (const path of MOUNT_POINTS) tree.folder(path);
  tree.folder('tmp', 0o1777);
  tree.symlink('var/run', '../run');
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    tree.folder(`usr/${name}`);
    tree.symlink(name, `usr/${name}`);
  }
}

function settings(tree: FileTree): void {
  const files = {
    'etc/passwd': 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
    'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
    'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
    'usr/lib/os-release':
      `PRETTY_NAME="Flannel, on files of Debian ${RELEASE.id}"\nNAME="Debian GNU/Linux"\nID=debian\n` +
      `VERSION_ID="${RELEASE.id}"\nVERSION_CODENAME=${RELEASE.codename}\n`,
  };
  for (const [path, text] of Object.entries(files)) tree.file('settings', path, { bytes: Buffer.from(text) });
  tree.symlink('etc/os-release', '../usr/lib/os-release');
}

interface Wanted {
  readonly source: DebianFiles;
  readonly triplet: string;
  /** Grows while libraries bring their own needs. */
  readonly needs: ElfNeeds[];
}

/** Every library that is needed, under the name that it is asked for by, and the loader. */
function libraries(tree: FileTree, { source, triplet, needs }: Wanted): void {
  const done = new Set<string>();
  const take = (name: string): void => {
    if (done.has(name)) return;
    done.add(name);
    const bytes = source.library(name);
    tree.file('libraries', `usr/lib/${triplet}/${name}`, { bytes, mode: 0o755 });
    const elf = readElf(bytes);
    if (elf !== undefined) needs.push(elf);
  };
  for (const { interpreter, libraries: names } of needs) {
    for (const name of names) take(name);
    if (interpreter === undefined || done.has(interpreter)) continue;
    done.add(interpreter);
    const name = basename(interpreter);
    take(name);
    const folder = interpreter.slice(1, -name.length - 1);
    tree.symlink(`usr${interpreter}`, `${folder === 'lib' ? '' : '../lib/'}${triplet}/${name}`);
  }
}

/** The files of several unpacked packages as one tree; remembers which packages were of use. */
class DebianFiles {
  readonly used = new Set<DebianPackage>();
  readonly #packages: readonly DebianPackage[];
  readonly #triplet: string;

  constructor(packages: readonly DebianPackage[], triplet: string) {
    this.#packages = packages;
    this.#triplet = triplet;
  }

  read(path: string): Uint8Array {
    const found = this.#packages.find(({ root }) => existsSync(`${root}/${path}`));
    if (found === undefined) throw new Error(`${path} is in none of the packages of scripts/image/debian.ts`);
    this.used.add(found);
    // Links of packages lead to their own files.
    const real = realpathSync(`${found.root}/${path}`);
    if (!real.startsWith(`${realpathSync(found.root)}/`))
      throw new Error(`${path} leads out of ${found.name}`);
    return readFileSync(real);
  }

  library(name: string): Uint8Array {
    const folder = [`usr/lib/${this.#triplet}`, `lib/${this.#triplet}`].find((one) =>
      this.#packages.some(({ root }) => existsSync(`${root}/${one}/${name}`)),
    );
    return this.read(`${folder ?? 'lib'}/${name}`);
  }

  list(folder: string): string[] {
    const found = this.#packages.filter(({ root }) => existsSync(`${root}/${folder}`));
    return found.flatMap(({ root }) => readdirSync(`${root}/${folder}`)).sort();
  }
}
