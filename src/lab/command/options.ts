import { ConfigError } from '#base/errors.ts';
import { parsePageAddress, type PageAddress } from '#page/server/address.ts';
import { nearest } from '#subnet/nearest.ts';

/** Backends that carry packets between the lab's nodes; `vxlan-direct` is vxlan with DirectRouting. */
export const BACKENDS = ['vxlan', 'vxlan-direct', 'host-gw'] as const;
export type LabBackend = (typeof BACKENDS)[number];
/** Where agents get their subnets from. */
export const MANAGERS = ['kube', 'etcd'] as const;
export const FAULTS = [
  'link',
  'route',
  'neighbour',
  'fdb',
  'address',
  'rules',
  'mac',
  'agent',
  'api',
] as const;
export type FaultName = (typeof FAULTS)[number];

/** How flanneld writes its traffic rules; `auto`: iptables where it is installed, else nftables. */
export type TrafficChoice = 'auto' | 'iptables' | 'nftables';

export interface UpOptions {
  readonly name: string;
  readonly nodes: number;
  readonly pods: number;
  readonly backend: LabBackend;
  readonly manager: (typeof MANAGERS)[number];
  readonly traffic: TrafficChoice;
}

export type LabCommand =
  | { readonly command: 'help'; readonly topic: string | undefined }
  | { readonly command: 'run' | 'up' | 'migrate'; readonly options: UpOptions }
  | { readonly command: 'status' | 'verify' | 'down'; readonly name: string }
  | { readonly command: 'page'; readonly name: string; readonly address: PageAddress }
  | { readonly command: 'walk'; readonly name: string; readonly from?: string; readonly to?: string }
  | {
      readonly command: 'exec';
      readonly name: string;
      readonly place: string;
      readonly argv: readonly string[];
    }
  | { readonly command: 'break'; readonly name: string; readonly fault: FaultName; readonly node?: string };

export const COMMANDS = [
  'run',
  'up',
  'status',
  'exec',
  'verify',
  'walk',
  'page',
  'break',
  'migrate',
  'down',
  'help',
] as const;
type CommandName = (typeof COMMANDS)[number];

const UP_FLAGS = ['name', 'nodes', 'pods', 'backend', 'manager', 'nftables', 'iptables'] as const;
const BOOLEAN = new Set(['nftables', 'iptables', 'help']);
const FLAGS: Readonly<Record<CommandName, readonly string[]>> = {
  run: UP_FLAGS,
  up: UP_FLAGS,
  status: ['name'],
  exec: ['name'],
  verify: ['name'],
  walk: ['name'],
  page: ['name', 'addr'],
  break: ['name', 'node'],
  migrate: ['name', 'nodes', 'backend', 'nftables', 'iptables'],
  down: ['name'],
  help: [],
};

/** Of `page`: a port of its own, so that a page that is still open finds the next one. */
const PAGE_ADDRESS = '127.0.0.1:8475';

/** Node and pod counts: beyond these the lab's address plan or a laptop's memory ends. */
const MAX_NODES = 50;
const MAX_PODS = 20;

/** The command line behind `flannelctl lab`. Throws a ConfigError that names the word and the nearest right one. */
export function parseLabArguments(args: readonly string[]): LabCommand {
  const first = args[0];
  const named = first !== undefined && !first.startsWith('-');
  const command = named ? commandName(first) : 'run';
  const { flags, words, tail } = split(command, named ? args.slice(1) : args);
  if (flags.has('help')) return { command: 'help', topic: named ? command : undefined };
  const name = labName(flags.get('name') ?? 'lab');
  switch (command) {
    case 'help':
      return { command, topic: words[0] };
    case 'run':
    case 'up':
    case 'migrate':
      expectNoWords(command, words);
      if (command === 'migrate') return { command, options: migrateOptions(name, flags) };
      return { command, options: upOptions(name, flags) };
    case 'status':
    case 'verify':
    case 'down':
      expectNoWords(command, words);
      return { command, name };
    case 'page':
      expectNoWords(command, words);
      return { command, name, address: parsePageAddress(flags.get('addr') ?? PAGE_ADDRESS, '--addr') };
    case 'walk':
      return { command, name, ...walkEnds(words) };
    case 'exec': {
      const [place, ...rest] = words;
      const argv = [...rest, ...tail];
      if (place === undefined || argv.length === 0)
        throw new ConfigError('lab exec', 'needs a pod or node and a command: lab exec n1-a -- <command>');
      return { command, name, place, argv };
    }
    case 'break':
      return { command, name, fault: faultName(words), ...nodeOf(flags) };
  }
}

function commandName(word: string): CommandName {
  const found = COMMANDS.find((candidate) => candidate === word);
  if (found !== undefined) return found;
  throw new ConfigError(`lab ${word}`, `no such command${hint(word, COMMANDS)}`, {
    cure: `commands: ${COMMANDS.join(', ')}`,
  });
}

interface Split {
  readonly flags: ReadonlyMap<string, string>;
  readonly words: readonly string[];
  /** Everything behind `--`. */
  readonly tail: readonly string[];
}

/** `--flag value`, `--flag=value`, words; everything from a bare `--` (in exec: from the command) on is left alone. */
function split(command: CommandName, args: readonly string[]): Split {
  const flags = new Map<string, string>();
  const words: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (arg === '--') return { flags, words, tail: args.slice(at + 1) };
    const match = /^--?([a-z][\w-]*)(?:=(.*))?$/s.exec(arg);
    if (match === null || (command === 'exec' && words.length > 0)) {
      words.push(arg);
      continue;
    }
    const flag = flagName(command, match[1] ?? '');
    const needsValue = match[2] === undefined && !BOOLEAN.has(flag);
    if (needsValue) at += 1;
    const value = needsValue ? args[at] : (match[2] ?? 'true');
    if (value === undefined) throw new ConfigError(`--${flag}`, 'needs a value');
    flags.set(flag, value);
  }
  return { flags, words, tail: [] };
}

function flagName(command: CommandName, flag: string): string {
  const known = [...FLAGS[command], 'help'];
  if (known.includes(flag)) return flag;
  if (flag === 'h') return 'help';
  const near = nearest(flag, known);
  throw new ConfigError(
    `--${flag}`,
    `lab ${command} has no such flag${near === undefined ? '' : `; did you mean --${near}?`}`,
    { cure: `flags of lab ${command}: ${known.map((name) => `--${name}`).join(', ')}` },
  );
}

/** The name becomes a folder and part of messages. */
function labName(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) return name;
  throw new ConfigError('--name', `${JSON.stringify(name.slice(0, 64))} is not a lab name`, {
    cure: 'Use up to 32 lower case letters, digits and dashes',
  });
}

function upOptions(name: string, flags: ReadonlyMap<string, string>): UpOptions {
  return {
    name,
    nodes: count(flags, 'nodes', { fallback: 3, max: MAX_NODES }),
    pods: count(flags, 'pods', { fallback: 2, max: MAX_PODS }),
    backend: choice(flags, 'backend', BACKENDS),
    manager: choice(flags, 'manager', MANAGERS),
    traffic: traffic(flags),
  };
}

/** Between nodes, so two at least; the annotations are what the original leaves behind, so the manager is `kube`. */
function migrateOptions(name: string, flags: ReadonlyMap<string, string>): UpOptions {
  const options = upOptions(name, flags);
  if (options.nodes > 1) return options;
  throw new ConfigError('--nodes', 'a migration goes from node to node: 2 at least');
}

/** One of `known`; the first when the flag is missing. */
function choice<T extends string>(
  flags: ReadonlyMap<string, string>,
  flag: string,
  known: readonly [T, ...T[]],
): T {
  const text = flags.get(flag) ?? known[0];
  const found = known.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw new ConfigError(`--${flag}`, `the lab has no ${flag} ${JSON.stringify(text.slice(0, 64))}`, {
    cure: `Use one of: ${known.join(', ')}`,
  });
}

function traffic(flags: ReadonlyMap<string, string>): TrafficChoice {
  const [nftables, iptables] = [truth(flags, 'nftables'), truth(flags, 'iptables')];
  if (nftables && iptables) throw new ConfigError('--nftables', 'not together with --iptables');
  if (nftables) return 'nftables';
  return iptables ? 'iptables' : 'auto';
}

function truth(flags: ReadonlyMap<string, string>, flag: string): boolean {
  const value = flags.get(flag) ?? 'false';
  if (value === 'true' || value === 'false') return value === 'true';
  throw new ConfigError(`--${flag}`, `${JSON.stringify(value)} is neither true nor false`);
}

function count(
  flags: ReadonlyMap<string, string>,
  flag: string,
  bounds: { readonly fallback: number; readonly max: number },
): number {
  const text = flags.get(flag) ?? String(bounds.fallback);
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > bounds.max)
    throw new ConfigError(`--${flag}`, `${JSON.stringify(text)} is not a number from 1 to ${bounds.max}`);
  return value;
}

function walkEnds(words: readonly string[]): { from?: string; to?: string } {
  const [from, to, extra] = words;
  if (from === undefined) return {};
  if (to === undefined || extra !== undefined)
    throw new ConfigError('lab walk', 'needs two ends: lab walk <pod> <pod|node|world>');
  return { from, to };
}

function faultName(words: readonly string[]): FaultName {
  const [word, ...rest] = words;
  const found = FAULTS.find((fault) => fault === word);
  if (found === undefined || rest.length > 0) {
    const what = word === undefined ? 'needs a fault' : `knows no fault ${JSON.stringify(words.join(' '))}`;
    throw new ConfigError('lab break', `${what}${word === undefined ? '' : hint(word, FAULTS)}`, {
      cure: `faults: ${FAULTS.join(', ')}`,
    });
  }
  return found;
}

function nodeOf(flags: ReadonlyMap<string, string>): { node?: string } {
  const node = flags.get('node');
  return node === undefined ? {} : { node };
}

function expectNoWords(command: string, words: readonly string[]): void {
  const word = words[0];
  if (word !== undefined)
    throw new ConfigError(`lab ${command}`, `does not know what to do with ${JSON.stringify(word)}`);
}

function hint(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  return near === undefined ? '' : `; did you mean ${near}?`;
}
