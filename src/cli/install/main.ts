import { join } from 'node:path';
import { ConfigError, FlannelError } from '#base/errors.ts';
import { VERSION } from '#base/version.ts';
import { parseArguments, type Words } from '../arguments.ts';
import {
  type Decision,
  decide,
  type Found,
  type InstallRecord,
  parseRecord,
  type Plugin,
  PLUGINS,
} from './decide.ts';
import { alone, sweep, writable } from './folder.ts';
import { digestReader, placePrograms, placeText, readText } from './place.ts';

/** Beside the plugins; hidden, so that no runtime takes it for one. */
export const RECORD = '.flannel-installed.json';
export const CONFLIST = '10-flannel.conflist';

export const INSTALL_HELP = `usage: flannelctl install-cni [flags]

Puts the CNI plugins and the conflist on this host, as an init container does. Files are replaced whole, and only when they differ; the
conflist comes last, because a runtime takes the network for installed when it sees it.

  --bin-dir <folder>    folder of the plugins (/opt/cni/bin)
  --conf-dir <folder>   folder of the runtime's configuration (/etc/cni/net.d)
  --conf-file <file>    conflist to install (/etc/kube-flannel/cni-conf.json)
  --plugins-only        no conflist
  --replace-all         also replaces bridge, host-local, loopback and portmap that somebody else installed
`;

const WORDS = {
  'bin-dir': '/opt/cni/bin',
  'conf-dir': '/etc/cni/net.d',
  'conf-file': '/etc/kube-flannel/cni-conf.json',
  'plugins-only': false,
  'replace-all': false,
} as const satisfies Words;

const DONE: Readonly<Record<string, string>> = {
  missing: 'installed',
  update: 'updated',
  replace: "installed in place of another program's",
};

export interface InstallTo {
  /** The executable to install. */
  readonly source: string;
  /** Takes a line for people. */
  readonly say: (line: string) => void;
}

/** `flannelctl install-cni`. Returns the exit code. */
export async function installMain(args: readonly string[], { source, say }: InstallTo): Promise<number> {
  const words = parseArguments('install-cni', args, WORDS);
  if (words === 'help') {
    say(INSTALL_HELP.trimEnd());
    return 0;
  }
  const conflist = words['plugins-only'] ? undefined : readConflist(words['conf-file']);
  const folder = words['bin-dir'];
  await alone(folder, async () => {
    const decisions = await installPlugins(source, folder, words['replace-all']);
    for (const decision of decisions) say(sentence(decision, folder));
    if (conflist !== undefined) say(installConflist(words['conf-dir'], conflist));
  });
  return 0;
}

function installConflist(folder: string, conflist: string): string {
  const path = join(folder, CONFLIST);
  const written = writable(folder, () => {
    sweep(folder);
    return placeText(path, conflist);
  });
  return `${path}: ${written ? 'written' : 'as it should be'}`;
}

/** Installs what `decide` says and writes the record. */
async function installPlugins(source: string, folder: string, replaceOthers: boolean): Promise<Decision[]> {
  const digestOf = digestReader();
  const wanted = await digestOf(source);
  if (wanted === undefined) throw new FlannelError('bug', `${source} is not there`);
  const found: Partial<Record<Plugin, Found>> = {};
  for (const plugin of PLUGINS) {
    const digest = await digestOf(join(folder, plugin));
    if (digest !== undefined) found[plugin] = { digest };
  }
  const recordPath = join(folder, RECORD);
  const record = parseRecord(readText(recordPath) ?? '');
  const decisions = decide({ wanted, found, record, replaceOthers });
  const install = decisions.filter(({ action }) => action === 'install').map(({ plugin }) => plugin);
  const ours = decisions.filter(({ action }) => action !== 'leave').map(({ plugin }) => plugin);
  const next: InstallRecord = {
    version: VERSION,
    files: Object.fromEntries(ours.map((plugin) => [plugin, wanted])),
  };
  writable(folder, () => {
    sweep(folder);
    if (install.length > 0) {
      // Beforehand what it is going to be: a run that is killed in between leaves nothing that the next one takes for another program's.
      placeText(recordPath, recordText({ version: VERSION, files: record?.files ?? {}, installing: wanted }));
      placePrograms(source, folder, install);
    }
    placeText(recordPath, recordText(next));
  });
  return decisions;
}

function recordText(record: InstallRecord): string {
  return `${JSON.stringify(record)}\n`;
}

function sentence(decision: Decision, folder: string): string {
  const path = join(folder, decision.plugin);
  switch (decision.action) {
    case 'keep':
      return `${path}: v${VERSION} already`;
    case 'leave':
      return `${path}: another program's, left alone (--replace-all replaces it)`;
    case 'install':
      return `${path}: v${VERSION} ${DONE[decision.why]}`;
  }
}

/** A conflist that a runtime would refuse must not reach it. */
function readConflist(path: string): string {
  const text = readText(path);
  if (text === undefined) {
    throw new FlannelError('operator', `${path} is not there`, {
      cure: 'Mount the ConfigMap kube-flannel-cfg at /etc/kube-flannel, or name the file with --conf-file',
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(path, 'is not JSON', { cause: error });
  }
  const list = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  if (typeof list['name'] !== 'string' || list['name'] === '') throw new ConfigError(path, 'has no name');
  const plugins: unknown = list['plugins'];
  if (!Array.isArray(plugins) || plugins.length === 0) throw new ConfigError(path, 'has no list of plugins');
  return text;
}
