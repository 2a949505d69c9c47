import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import { FileTree } from '../image/file-tree.ts';
import { sha256 } from '../image/run.ts';
import { tarArchive } from '../image/tar.ts';
import { manualPages } from './manual.ts';
import { examples, sourceText, type Contents } from './contents.ts';

/** The archive for machines with systemd and another package manager than dpkg, or none: installer, unit, executable. */
export function systemdArchive({ version, architecture, time, executable }: Contents): Uint8Array {
  const files = new Map<string, { readonly bytes: Uint8Array; readonly mode?: number }>();
  const text = (path: string, content: string, mode = 0o644) =>
    void files.set(path, { bytes: new TextEncoder().encode(content), mode });
  files.set('bin/flanneld', { bytes: executable, mode: 0o755 });
  text(
    'install.sh',
    sourceText('packaging/systemd/install.sh').replaceAll('@ARCHITECTURE@', architecture),
    0o755,
  );
  text('uninstall.sh', sourceText('packaging/systemd/uninstall.sh'), 0o755);
  for (const path of ['flanneld.service', 'flanneld.default', 'docker.service.d/flannel.conf'])
    text(`systemd/${path}`, sourceText(`packaging/systemd/${path}`));
  for (const [name, content] of examples(FLANNEL_CONFLIST)) text(`examples/${name}`, content);
  for (const [name, source] of manualPages({ version, time })) text(`man/${name}`, source);
  for (const name of ['LICENSE', 'CHANGELOG.md']) text(name, sourceText(name));
  const sums = [...files].map(([path, { bytes }]) => `${sha256(bytes)}  ${path}\n`);
  text('SHA256SUMS', sums.sort().join(''));
  const tree = new FileTree();
  for (const [path, file] of files) tree.file('all', `flannel-${version}/${path}`, file);
  return compressed(tarArchive(tree.entries(), time));
}

/** gzip by the library inside the pinned Bun: the same bytes on every machine that builds. */
export function compressed(bytes: Uint8Array, level: 6 | 12 = 6): Uint8Array {
  return Bun.gzipSync(new Uint8Array(bytes.buffer as ArrayBuffer), { library: 'libdeflate', level });
}
