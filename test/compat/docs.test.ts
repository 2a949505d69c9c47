import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BACKENDS } from '#backend/create.ts';
import { LOG_FIELDS } from '#base/log-fields.ts';
import { VERSION } from '#base/version.ts';
import { HELP as FLANNELCTL } from '#cli/main.ts';
import { parseKubeconfig } from '#clients/k8s/kubeconfig.ts';
import { AgentMetrics } from '#daemon/metrics/agent.ts';
import { parseFlags } from '#daemon/flags.ts';
import { checkOptions } from '#daemon/options.ts';
import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import { HELP } from '#lab/command/help.ts';
import { COMMANDS, FAULTS, parseLabArguments } from '#lab/command/options.ts';
import { BACKEND_TYPES, parseNetworkConfig } from '#subnet/config.ts';
import manifest from '../../package.json';
import { referenceTables, withTables } from '../../scripts/reference/tables.ts';

const root = join(import.meta.dir, '../..');
const pages = ['.', 'docs', 'docs/adr', 'packaging/helm/flannel'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => (folder === '.' ? name : `${folder}/${name}`)),
);

function read(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

interface Page {
  /** Without the code blocks. */
  readonly prose: string;
  /** Lines of fenced and indented code blocks. */
  readonly code: readonly string[];
}

function split(page: string): Page {
  const prose: string[] = [];
  const code: string[] = [];
  let fence: string | undefined;
  for (const line of read(page).split('\n')) {
    const mark = /^(\s*)```/.exec(line)?.[1];
    if (mark !== undefined) {
      code.push(line);
      fence = fence === undefined ? mark : undefined;
    } else if (fence !== undefined || /^ {4}\S/.test(line)) code.push(line);
    else prose.push(line);
  }
  expect([page, fence]).toEqual([page, undefined]);
  return { prose: prose.join('\n'), code };
}

/** What a reader would type: lines of code blocks and code inside sentences. */
function commands(page: string): string[] {
  const { prose, code } = split(page);
  const inline = [...prose.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
  return [...code, ...inline].map((text) => text.replace(/\s+#.*$/, '').trim());
}

function found(page: string, pattern: RegExp): string[] {
  return commands(page).flatMap((text) => [...text.matchAll(pattern)].map(([, name = '']) => name));
}

/** The anchors of a page's headings, as the usual hosts make them. */
function anchors(page: string): string[] {
  return [...split(page).prose.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

interface PodShape {
  readonly name: string;
  readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
  readonly volumeMounts: readonly { readonly mountPath: string }[];
}

/** What the page of security speaks of. */
function parseManifest(text: string) {
  const documents = Bun.YAML.parse(text) as readonly { readonly kind: string }[];
  const of = (kind: string): unknown => documents.find((document) => document.kind === kind);
  type Pod = { readonly containers: readonly PodShape[]; readonly initContainers: readonly PodShape[] };
  type Rule = { readonly resources: readonly string[]; readonly verbs: readonly string[] };
  const { spec } = of('DaemonSet') as { readonly spec: { readonly template: { readonly spec: Pod } } };
  return { pod: spec.template.spec, rules: (of('ClusterRole') as { readonly rules: readonly Rule[] }).rules };
}

describe.each(pages)('%s', (page) => {
  test('relative links lead somewhere', () => {
    const links = [...split(page).prose.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target);
    const relative = links.filter((target) => !/^[a-z]+:/.test(target));
    expect(relative.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([]);
  });

  test('tables are written without padding, so that a change of one row is a change of one line', () => {
    const rules = split(page)
      .prose.split('\n')
      .filter((line) => /^\|[\s|:-]+$/.test(line));
    expect(rules.filter((line) => line.includes('--') && !/^\|(---\|)+$/.test(line))).toEqual([]);
  });

  test('links to a heading find it', () => {
    const links = [...split(page).prose.matchAll(/\]\(([\w./-]*)#([^)]+)\)/g)];
    const lost = links.filter(([, target = '', anchor = '']) => {
      const other = target === '' ? page : join(dirname(page), target);
      return !anchors(other).includes(anchor);
    });
    expect(lost.map(([text]) => text)).toEqual([]);
  });

  test('commands of this project exist', () => {
    const scripts: Readonly<Record<string, string>> = manifest.scripts;
    expect(found(page, /\bnpm run (?:-s )?([\w-]+)/g).filter((name) => scripts[name] === undefined)).toEqual(
      [],
    );
    const files = found(page, /\bnode (scripts\/[\w./-]+)/g);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test('commands of flannelctl exist', () => {
    const known = [...FLANNELCTL.matchAll(/^  ([a-z][a-z-]+)\b/gm)].map(([, name]) => name);
    expect(known).toContain('install-cni');
    const named = found(page, /\bflannelctl ([a-z][a-z-]*)/g);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  test('commands of the lab are accepted', () => {
    for (const line of found(page, /\b(?:npm run lab --|flannelctl lab) (.+)/g)) {
      if (line.startsWith('<')) continue;
      const words = line.replace('<fault>', 'link').split(' ');
      expect([line, parseLabArguments(words).command]).toEqual([line, expect.any(String)]);
    }
  });

  test('what it names below packaging is there', () => {
    const paths = found(page, /\b(packaging\/[\w./-]*\w)/g);
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('a file below docs or src that it names is there', () => {
    // In the map and the walks paths stand without src/: those are not looked for.
    const files = found(page, /^((?:docs|src|test|scripts)\/[\w./-]+\.(?:ts|mjs|md|txt))$/g);
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});

describe('the lab guide', () => {
  const { prose } = split('docs/lab.md');
  const headings = [...prose.matchAll(/^## (.+)$/gm)].map(([, title = '']) => title);

  test('has a part for every command of the help', () => {
    const explained = COMMANDS.filter((name) => name !== 'run' && name !== 'help');
    for (const name of explained) {
      expect(headings).toContain(name);
      expect(HELP).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
  });

  test('names the flags of the help, all and no others', () => {
    const flags = (text: string) => new Set([...text.matchAll(/--[a-z][\w-]*/g)].map(([flag]) => flag));
    const guide = flags(read('docs/lab.md').replaceAll(/^.*\bip -.*$/gm, ''));
    expect([...guide].sort()).toEqual([...flags(HELP)].sort());
  });

  test('names every fault', () => {
    const table = prose.slice(prose.indexOf('| fault |'));
    for (const fault of FAULTS) expect(table).toContain(`\`${fault}\``);
  });
});

describe('the configuration page', () => {
  const page = read('docs/configuration.md');

  test('has the tables that the program makes: npm run reference', () => {
    expect(withTables(page, referenceTables())).toBe(page);
  });

  test('notices a flag, a key or a default that has changed', () => {
    for (const [from, to] of [
      ['| `--iptables-resync` | `5` |', '| `--iptables-resync` | `6` |'],
      ['| `VNI` | 0 to', '| `VNI` | 1 to'],
      ['| `EnableNFTables` |', '| `EnableNftables` |'],
    ] as const) {
      expect(page).toContain(from);
      expect(withTables(page.replace(from, to), referenceTables())).toBe(page);
    }
    expect(() =>
      withTables(page.replace('generated: flags', 'generated: flag'), referenceTables()),
    ).toThrow();
    expect(() => withTables('', referenceTables())).toThrow('net-conf');
  });

  test('names every backend, and the page of backends explains each', () => {
    const explained = [...split('docs/backends.md').prose.matchAll(/^## `([\w-]+)`/gm)].map(
      ([, name]) => name,
    );
    expect(explained).toEqual([...BACKENDS.keys()]);
    const heading = [...page.matchAll(/^### (`.+)$/gm)].flatMap(
      ([, names = '']) => names.match(/[\w-]+/g) ?? [],
    );
    expect(heading.toSorted()).toEqual([...BACKENDS.keys()].toSorted());
    const absent =
      /\n## Not in this version\n([\s\S]*?)(?:\n## |$)/.exec(read('docs/backends.md'))?.[1] ?? '';
    const rows = [...absent.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name = '']) => name);
    expect([...rows, ...BACKENDS.keys()].toSorted()).toEqual(BACKEND_TYPES.toSorted());
  });
});

describe('the page of security', () => {
  const page = read('docs/security.md');
  const documents = parseManifest(read('packaging/kubernetes/kube-flannel.yml'));

  test('has the capabilities and mounts of the manifest, and no other', () => {
    const { initContainers, containers } = documents.pod;
    const all = [...containers, ...initContainers];
    const granted = all.flatMap(({ name, securityContext }) =>
      securityContext.capabilities.add.map((capability) => `${name} ${capability}`),
    );
    const capabilities = [...page.matchAll(/^\| `([\w-]+)` \| `([A-Z_]+)` \|/gm)];
    expect(capabilities.map(([, name, capability]) => `${name} ${capability}`)).toEqual(granted);
    const mounted = new Set(
      all.flatMap(({ volumeMounts }) => volumeMounts.map(({ mountPath }) => mountPath)),
    );
    const mounts = [...page.matchAll(/^\| (`\/[^|]+) \| (?:write|read)\b/gm)].flatMap(
      ([, paths = '']) => paths.match(/\/[\w./-]+/g) ?? [],
    );
    expect(mounts.toSorted()).toEqual([...mounted].toSorted());
  });

  test('has the rights of the manifest, and no other', () => {
    const rows = [...page.matchAll(/^\| `([a-z]+(?:\/[a-z]+)?)` \| ((?:[a-z]+(?:, )?)+) \|/gm)];
    const granted = documents.rules.map(({ resources, verbs }) => `${resources.join()} ${verbs.join(', ')}`);
    expect(rows.map(([, resource, verbs]) => `${resource} ${verbs}`).toSorted()).toEqual(granted.toSorted());
  });
});

describe('every picture', () => {
  const shown = pages.flatMap((page) =>
    [...read(page).matchAll(/!\[[^\]]{20,}\]\(([^)]+\.(?:svg|png))\)/g)].map(([, path = '']) =>
      join(dirname(page), path),
    ),
  );
  const pictures = readdirSync(join(root, 'docs/pictures')).map((name) => `docs/pictures/${name}`);

  test('is shown somewhere, and has words for those who cannot see it', () => {
    expect([...new Set(shown)].toSorted()).toEqual(pictures.toSorted());
  });

  test('that is drawn is whole, and legible in the dark', () => {
    for (const picture of pictures.filter((name) => name.endsWith('.svg'))) {
      const text = read(picture);
      expect(text).toMatch(/<title>[^<]+<\/title>\s*<desc>[^<]+<\/desc>/);
      expect(text).toContain('prefers-color-scheme: dark');
      const opened = [...text.matchAll(/<([a-z]+)\b[^>]*(?<!\/)>/g)].map(([, tag = '']) => tag);
      const closed = [...text.matchAll(/<\/([a-z]+)>/g)].map(([, tag = '']) => tag);
      expect([picture, opened.toSorted()]).toEqual([picture, closed.toSorted()]);
    }
  });

  test('that was taken is small', () => {
    for (const picture of pictures.filter((name) => name.endsWith('.png')))
      expect(statSync(join(root, picture)).size).toBeLessThan(150_000);
  });
});

describe('the page of metrics', () => {
  const rows = [
    ...read('docs/metrics.md').matchAll(/^\| `((?:flannel|process)_\w+)` \| (\w+) \|([^|]*)\|/gm),
  ];

  test('has every metric with its type, and no other', () => {
    const documented = rows.map(([, name, type]) => `${name} ${type}`);
    const declared = new AgentMetrics().list().map(({ name, type }) => `${name} ${type}`);
    expect(documented.toSorted()).toEqual(declared.toSorted());
  });

  test('has the labels of those that have some', () => {
    const metrics = new AgentMetrics();
    metrics.failed(new Error('x'));
    metrics.requested({ verb: 'get', code: 200 });
    for (const line of metrics.render().split('\n')) {
      const [, name = '', labels = ''] = /^(\w+)\{(.*)\} /.exec(line) ?? [];
      if (name === '' || name.endsWith('_bucket')) continue;
      const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => `\`${label}\``).join(', ');
      expect([name, rows.find(([, row]) => row === name)?.[3]?.trim()]).toEqual([name, names]);
    }
  });

  test('asks for metrics that there are', () => {
    const names = new Set(new AgentMetrics().list().map(({ name }) => name));
    const asked = split('docs/metrics.md').code.flatMap((line) => line.match(/\bflannel_\w+/g) ?? []);
    expect(asked.filter((name) => !names.has(name))).toEqual([]);
    expect(asked.length).toBeGreaterThan(5);
  });
});

test('the page of the status file has the fields of its example, and no other', () => {
  const { prose, code } = split('docs/status.md');
  const example = JSON.parse(code.filter((line) => !line.startsWith('```')).join('\n')) as object;
  const rows = [...prose.matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].map(([, name]) => name);
  expect(rows).toEqual(['schema', 'ready', 'serving', ...Object.keys(example).slice(2)]);
});

describe('the page of the log', () => {
  const { prose } = split('docs/logging.md');

  test('has every field, and no other', () => {
    const table = prose.slice(prose.indexOf('\n## Fields'));
    const named = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(
      ([, names = '']) => names.match(/\w+/g) ?? [],
    );
    expect(named.toSorted()).toEqual([...LOG_FIELDS].toSorted());
  });

  test('quotes messages that there are', () => {
    const table = prose.slice(prose.indexOf('\n## What to alert on'), prose.indexOf('\n## Secrets'));
    const messages = [...table.matchAll(/^\| `([^`]+)` \| (error|warn) \|/gm)];
    expect(messages.length).toBeGreaterThan(10);
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => /^(?!lab).*(?<!\.test)\.ts$/.test(file))
      .map((file) => read(`src/${file}`))
      .join('\n');
    for (const [, message = ''] of messages) expect(sources).toContain(message);
  });
});

describe('the installation page', () => {
  const text = read('docs/install.md');
  const blocks = (language: string) =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
      ([, body = '']) => body,
    );

  test('has a configuration, a conflist and a kubeconfig that the programs take', () => {
    const [netConf = '', conflist = ''] = blocks('json');
    expect(parseNetworkConfig(netConf, { source: 'net-conf.json' }).warnings).toEqual([]);
    expect(JSON.parse(conflist)).toEqual(FLANNEL_CONFLIST);
    const text = blocks('yaml').find((block) => block.includes('kind: Config\n')) ?? '';
    const kubeconfig = parseKubeconfig(text, { path: '/etc/kube-flannel/kubeconfig' });
    expect(kubeconfig.token?.toString()).toBe('/etc/kube-flannel/token');
    expect(kubeconfig.ca?.toString()).toBe('/etc/kube-flannel/ca.crt');
  });

  test('starts the agent with flags that it takes', () => {
    const unit = read('packaging/systemd/flanneld.service');
    const words = /^ExecStart=\S+\/flanneld (.+)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    const files = blocks('sh').filter((block) => block.startsWith('FLANNELD_'));
    expect(files).toHaveLength(2);
    for (const file of files) {
      const env = Object.fromEntries(
        file
          .trim()
          .split('\n')
          .map((line) => line.split(/=(.*)/)),
      );
      const { given, warnings, values } = parseFlags(words, env);
      expect(warnings).toEqual([]);
      expect([...given]).toContain(file === files[0] ? 'kube-subnet-mgr' : 'etcd-endpoints');
      checkOptions({ flags: values, env });
    }
  });
});

test('the README names the Debian packages that the tests install', () => {
  const part = /\nDebian packages ([\s\S]*?);/.exec(read('README.md'))?.[1] ?? '';
  const named = [...part.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  const list = /TEST_PACKAGES = \[([\s\S]*?)\n\];/.exec(read('scripts/ensure.mjs'))?.[1] ?? '';
  expect(named).toEqual([...list.matchAll(/\bname: '([^']+)'/g)].map(([, name]) => name));
  expect(named).not.toEqual([]);
});

test.each(['README.md', 'README.ko.md'])('%s lists every document', (readme) => {
  const index = read(readme).split('\n## ').at(-1) ?? '';
  const listed = [...index.matchAll(/\]\(([^)]+\.md)\)/g)].map(([, path = '']) =>
    path.replace('.ko.md', '.md'),
  );
  const documents = pages.filter((page) => !/\.ko\.md$|^README|^docs\/adr\//.test(page));
  expect(documents.filter((page) => !listed.includes(page))).toEqual([]);
});

test('the changelog knows this version', () => {
  expect(read('CHANGELOG.md')).toMatch(new RegExp(`^## ${VERSION.replaceAll('.', '\\.')}$`, 'm'));
});

describe.each([
  ['README.md', 'README.ko.md'],
  ['docs/lab.md', 'docs/lab.ko.md'],
])('%s and %s', (english, korean) => {
  test('have the same outline', () => {
    const outline = (page: string) => [...split(page).prose.matchAll(/^#+(?= )/gm)].map(([marks]) => marks);
    expect(outline(korean)).toEqual(outline(english));
  });

  test('have the same code blocks', () => {
    expect(split(korean).code).toEqual(split(english).code);
  });

  test('have tables of the same size', () => {
    const rows = (page: string) =>
      split(page)
        .prose.split('\n')
        .filter((line) => line.startsWith('|')).length;
    expect(rows(korean)).toBe(rows(english));
  });
});
