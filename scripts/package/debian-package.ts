import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import { FileTree } from '../image/file-tree.ts';
import { type Entry, tarArchive } from '../image/tar.ts';
import { arArchive } from './ar.ts';
import { compressed } from './archive.ts';
import { manualPages } from './manual.ts';
import { examples, PLUGINS, sourceText, type Contents } from './contents.ts';

/** Nobody's address (RFC 2606): there is no public one. */
const MAINTAINER = 'Flannel maintainers <maintainers@flannel.invalid>';
const DOC = 'usr/share/doc/flannel';
/** Oldest C library with all symbols that the executable asks for, by the versions in its dynamic table. */
const LIBC = '2.17';

/** The version as Debian has it, with the revision of the packaging. */
export function debianVersion(version: string): string {
  return `${version}-1`;
}

/** A binary package, deb(5) format 2.0, compressed so that every dpkg reads it. The same contents give the same bytes. */
export function debianPackage(contents: Contents): Uint8Array {
  const data = packageFiles(contents);
  const control = controlFiles(contents, data);
  const archive = (entries: readonly Entry[]) => compressed(tarArchive(rooted(entries), contents.time));
  return arArchive(
    [
      { name: 'debian-binary', bytes: new TextEncoder().encode('2.0\n') },
      { name: 'control.tar.gz', bytes: archive(control) },
      { name: 'data.tar.gz', bytes: archive(data) },
    ],
    contents.time,
  );
}

/** dpkg's members begin with `./`. */
function rooted(entries: readonly Entry[]): Entry[] {
  const top: Entry = { kind: 'folder', path: '.', mode: 0o755 };
  return [top, ...entries.map((entry) => ({ ...entry, path: `./${entry.path}` }))];
}

function packageFiles({ version, time, executable }: Contents): Entry[] {
  const tree = new FileTree();
  const text = (path: string, content: string, mode = 0o644) =>
    tree.file('all', path, { bytes: new TextEncoder().encode(content), mode });
  tree.file('all', 'usr/bin/flanneld', { bytes: executable, mode: 0o755 });
  tree.symlink('usr/bin/flannelctl', 'flanneld');
  for (const name of PLUGINS) tree.symlink(`usr/lib/flannel/cni/${name}`, '../../../bin/flanneld');
  const unit = sourceText('packaging/systemd/flanneld.service').replaceAll('/usr/local/bin/', '/usr/bin/');
  text('lib/systemd/system/flanneld.service', unit);
  text('etc/default/flanneld', sourceText('packaging/systemd/flanneld.default'), 0o600);
  for (const [name, content] of examples(FLANNEL_CONFLIST)) text(`${DOC}/examples/${name}`, content);
  text(
    `${DOC}/examples/docker.service.d/flannel.conf`,
    sourceText('packaging/systemd/docker.service.d/flannel.conf'),
  );
  for (const name of ['copyright', 'README.Debian'])
    text(`${DOC}/${name}`, sourceText(`packaging/deb/${name}`));
  for (const [name, source] of manualPages({ version, time }))
    tree.file('all', `usr/share/man/man8/${name}.gz`, {
      bytes: compressed(new TextEncoder().encode(source), 12),
    });
  text('usr/share/lintian/overrides/flannel', sourceText('packaging/deb/lintian-overrides'));
  const zipped = (path: string, content: string) =>
    tree.file('all', path, { bytes: compressed(new TextEncoder().encode(content), 12) });
  zipped(`${DOC}/changelog.gz`, sourceText('CHANGELOG.md'));
  zipped(`${DOC}/changelog.Debian.gz`, changelog(version, time));
  return tree.entries();
}

/** deb-changelog(5). */
function changelog(version: string, time: number): string {
  const date = new Date(time * 1000).toUTCString().replace('GMT', '+0000');
  return `flannel (${debianVersion(version)}) unstable; urgency=medium\n\n  * Version ${version}: see changelog.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
}

function controlFiles(contents: Contents, data: readonly Entry[]): Entry[] {
  const tree = new FileTree();
  const text = (path: string, content: string, mode = 0o644) =>
    tree.file('all', path, { bytes: new TextEncoder().encode(content), mode });
  text('control', control(contents, data));
  text('conffiles', '/etc/default/flanneld\n');
  text('md5sums', checksums(data));
  for (const script of ['postinst', 'prerm', 'postrm'])
    text(script, sourceText(`packaging/deb/${script}`), 0o755);
  return tree.entries();
}

/** deb-control(5). `Installed-Size` is in KiB, files rounded up and one for every other member, as dpkg-gencontrol counts. */
function control({ version, architecture }: Contents, data: readonly Entry[]): string {
  const kib = data.map((entry) => (entry.kind === 'file' ? Math.ceil(entry.bytes.length / 1024) : 1));
  const fields = {
    Package: 'flannel',
    Version: debianVersion(version),
    Architecture: architecture,
    Maintainer: MAINTAINER,
    'Installed-Size': kib.reduce((sum, one) => sum + one, 0),
    'Pre-Depends': 'init-system-helpers (>= 1.54~)',
    Depends: `libc6 (>= ${LIBC})`,
    Recommends: 'iptables',
    Suggests: 'containerd | cri-o | docker.io, etcd-server',
    Section: 'net',
    Priority: 'optional',
    Description: `pod network for Kubernetes: node agent and CNI plugins
 The agent gives every node a subnet of the pod network and carries packets
 between the nodes, in VXLAN or by plain routes. It takes the subnets from the
 Kubernetes API or from etcd, and keeps devices, routes, neighbours and traffic
 rules as they have to be.
 .
 The CNI plugins flannel, bridge, host-local, loopback and portmap wire the
 pods, and flannelctl installs and removes them and shows a whole cluster
 network on one machine.`,
  };
  return Object.entries(fields)
    .map(([field, value]) => `${field}: ${value}\n`)
    .join('');
}

/** `md5sums` as `dpkg --verify` reads it: it finds damage, not forgery. */
function checksums(data: readonly Entry[]): string {
  return data
    .flatMap((entry) =>
      entry.kind === 'file' && !entry.path.startsWith('etc/')
        ? `${new Bun.CryptoHasher('md5').update(entry.bytes).digest('hex')}  ${entry.path}\n`
        : [],
    )
    .join('');
}
