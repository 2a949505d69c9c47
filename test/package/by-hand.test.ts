import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { VERSION } from '#base/version.ts';
import { Chroot } from '../support/chroot.ts';
import { sourcePath } from '../support/packaging.ts';

const page = readFileSync(sourcePath('docs/install.md'), 'utf8');

/** The lines of the indented block behind a sentence of the page. */
function commandsAfter(sentence: string): string[] {
  const [, rest] = page.split(sentence);
  const block = /^\n\n((?: {4}\S.*\n)+)/.exec(rest ?? '')?.[1];
  if (block === undefined) throw new Error(`docs/install.md has no commands behind "${sentence}"`);
  return block
    .trimEnd()
    .split('\n')
    .map((line) => line.trim());
}

/** The block of code that says `word`, without its fence. */
function blockWith(language: string, word: string): string {
  const blocks = [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))];
  const found = blocks.map(([, body = '']) => body).filter((body) => body.includes(word));
  if (found.length !== 1) throw new Error(`docs/install.md has ${found.length} blocks with ${word}`);
  return found[0] ?? '';
}

test('the page, typed in: by hand onto a node, the conflist, a link, and everything away again', () => {
  using chroot = new Chroot();
  const folder = chroot.lend(sourcePath('.'), 'flannel');
  // A network namespace of its own: cleanup looks into the kernel.
  const type = (line: string) =>
    chroot.must('unshare', '--net', 'env', `--chdir=${folder}`, 'sh', '-euc', line);
  for (const line of commandsAfter('One file with seven names comes out, `dist/bin/`. On every node:'))
    type(line);
  expect(type('flanneld --version')).toBe(`flanneld v${VERSION}\n`);
  for (const name of ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'])
    expect(type(`/opt/cni/bin/${name} --version`)).toBe(`${name} v${VERSION}\n`);

  for (const line of commandsAfter(
    'the plugin that\nwas installed is the whole program, and a link gives it that name:',
  )) {
    if (!line.endsWith(' doctor')) type(line);
  }
  expect(type('flannelctl version')).toBe(`flannelctl v${VERSION}\n`);
  type(`mkdir -p /etc/kube-flannel; printf %s '${blockWith('json', '"plugins"')}' > /tmp/conflist`);
  const said = type('flannelctl install-cni --conf-file /tmp/conflist');
  expect(said).toContain('/opt/cni/bin/portmap: v');
  expect(said).toContain('/etc/cni/net.d/10-flannel.conflist: written');

  const [dry = '', real = ''] = commandsAfter(
    'Drain the node, stop the agent (stopping removes nothing from the kernel, on purpose), then',
  );
  const announced = type(dry).trim().split('\n');
  expect(announced).toContain('would remove /etc/cni/net.d/10-flannel.conflist');
  expect(announced).toContain('would remove /opt/cni/bin/flannel');
  expect(type(real).trim().split('\n')).toEqual(
    announced.map((line) => line.replace('would remove', 'removed')),
  );
  type('rm /usr/local/bin/flannelctl /usr/local/bin/flanneld');
  const left = chroot
    .changed()
    .filter((path) => !/^(?:opt\/cni|etc\/(?:cni|kube-flannel))(?:\/|$)/.test(path));
  expect(left).toEqual([]);
});

test('the name of the image is changed in the manifest as the page says', () => {
  using chroot = new Chroot();
  const line = commandsAfter('or your registry does, and the manifest its name there:').find((one) =>
    one.startsWith('sed '),
  );
  const packaging = chroot.lend(sourcePath('packaging'), 'lent');
  chroot.must('mkdir', '/tmp/flannel');
  chroot.must('cp', '-r', packaging, '/tmp/flannel/packaging');
  chroot.must('env', '--chdir=/tmp/flannel', 'sh', '-euc', line ?? 'false');
  const text = chroot.must('cat', '/tmp/flannel/packaging/kubernetes/kube-flannel.yml');
  const images = [...text.matchAll(/^ +image: (.*)$/gm)].map(([, image]) => image);
  expect(images).toEqual(Array(2).fill(`registry.example.com/net/flannel:v${VERSION}`));
});
