import { CLEANUP_HELP } from '#cli/cleanup/main.ts';
import { DOCKER_HELP } from '#cli/docker/main.ts';
import { DOCTOR_HELP } from '#cli/doctor/main.ts';
import { INSTALL_HELP } from '#cli/install/main.ts';
import { HELP } from '#cli/main.ts';
import { nodeHelp } from '#cli/node/main.ts';
import { NODE_HELP } from '#cli/node/options.ts';
import { PAGE_HELP } from '#cli/page/main.ts';
import { WALK_HELP } from '#cli/walk/main.ts';
import { helpText } from '#daemon/help.ts';
import { HELP as LAB_HELP } from '#lab/command/help.ts';
import { sourceText, type Contents } from './contents.ts';
import { escaped, formatted, tagged } from './roff.ts';

/** In the order of `flannelctl help`; those without a page of help of their own are in that alone. */
const COMMANDS: readonly (readonly [string, string])[] = [
  ...(['status', 'peers', 'pods', 'plan', 'diff'] as const).map((name) => [name, nodeHelp(name)] as const),
  ['page', PAGE_HELP],
  ['walk', `${WALK_HELP}${NODE_HELP}`],
  ['doctor', DOCTOR_HELP],
  ['lab', LAB_HELP],
  ['docker-opts', DOCKER_HELP],
  ['install-cni', INSTALL_HELP],
  ['cleanup', CLEANUP_HELP],
];

/** The manual pages, by the names of their files, made of what the programs say of themselves. */
export function manualPages(contents: Pick<Contents, 'version' | 'time'>): ReadonlyMap<string, string> {
  return new Map([
    ['flanneld.8', agentPage(contents)],
    ['flannelctl.8', toolPage(contents)],
  ]);
}

function head(name: string, what: string, { version, time }: Pick<Contents, 'version' | 'time'>): string {
  const date = new Date(time * 1000).toISOString().slice(0, 10);
  return `.TH ${name.toUpperCase()} 8 ${date} "flannel ${version}" "Flannel"\n.SH NAME\n${name} \\- ${escaped(what)}\n`;
}

function agentPage(contents: Pick<Contents, 'version' | 'time'>): string {
  const [, ...paragraphs] = helpText().split('\n\n');
  const [synopsis = '', ...sections] = paragraphs;
  return [
    head('flanneld', 'node agent of the Flannel pod network', contents),
    `.SH SYNOPSIS\n.B ${escaped(synopsis.replace('usage: ', ''))}\n`,
    '.SH DESCRIPTION\n',
    escaped(
      'Takes the subnet of this node from the Kubernetes API or from etcd, keeps the devices, addresses, neighbours, routes and traffic\n' +
        'rules of the pod network in the kernel as they have to be, and writes the file that the CNI plugin reads. Stopping it removes\n' +
        'nothing: pods go on.\n',
    ),
    '.SH OPTIONS\n',
    formatted(sections.join('\n\n')),
    '.SH FILES\n',
    files(),
    '.SH SEE ALSO\n.BR flannelctl (8),\n.BR ip (8),\n.BR bridge (8),\n.BR nft (8)\n',
  ].join('');
}

function toolPage(contents: Pick<Contents, 'version' | 'time'>): string {
  const [, synopsis = '', commands = ''] = HELP.split('\n\n');
  return [
    head('flannelctl', 'look at, set up and clean up the Flannel pod network of this node', contents),
    `.SH SYNOPSIS\n.B ${escaped(synopsis.replace('usage: ', ''))}\n`,
    '.SH COMMANDS\n',
    formatted(commands),
    ...COMMANDS.map(([name, help]) => `.SH ${escaped(name.toUpperCase())}\n${formatted(help)}`),
    '.SH SEE ALSO\n.BR flanneld (8)\n',
  ].join('');
}

/** Those of the configuration reference. */
function files(): string {
  const table =
    /\n## Files on a node\n([\s\S]*?)(?:\n## |$)/.exec(sourceText('docs/configuration.md'))?.[1] ?? '';
  const rows = [...table.matchAll(/^\| `([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)];
  if (rows.length === 0) throw new Error('docs/configuration.md has no table of files any more');
  const plain = (text: string) =>
    // What refers to another page says nothing here.
    text
      .replace(/: \[[^\]]+\]\([^)]*\)$/, '')
      .replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1')
      .replaceAll('`', '');
  return rows
    .map(([, path = '', writer = '', what = '']) => tagged(plain(path), `${plain(writer)}: ${plain(what)}`))
    .join('');
}
