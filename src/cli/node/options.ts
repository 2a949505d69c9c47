import { join } from 'node:path';
import { ConfigError, FlannelError } from '#base/errors.ts';
import { SOCKET_NAME } from '#daemon/inspect/socket-name.ts';
import { DEFAULT_PREFIX } from '#subnet/kube/annotations.ts';
import { parseArguments, type Given, type Words } from '../arguments.ts';

/** Flags that all commands about this node have. */
export const NODE_WORDS = {
  o: '',
  output: '',
  'run-dir': '/run/flannel',
  'state-dir': '',
  'ipam-dir': '/var/lib/cni/networks',
  'net-config-path': '/etc/kube-flannel/net-conf.json',
  'kube-annotation-prefix': DEFAULT_PREFIX,
  bridge: 'cni0',
} as const satisfies Words;

/** The same for people. */
export const NODE_HELP = `  -o <form>                  table (the default), wide, json or yaml
  --run-dir <folder>         the agent's files and its socket (/run/flannel)
  --state-dir <folder>       the agent's --state-dir, if it has one
  --ipam-dir <folder>        reservations of host-local (/var/lib/cni/networks)
  --net-config-path <file>   only without the agent (/etc/kube-flannel/net-conf.json)
  --kube-annotation-prefix <prefix>   only without the agent (${DEFAULT_PREFIX})
  --bridge <name>            of the CNI configuration (cni0)
`;

export const FORMS = ['table', 'wide', 'json', 'yaml'] as const;
export type Form = (typeof FORMS)[number];

/** Where a node's files are, and how to answer. */
export interface NodeOptions {
  readonly form: Form;
  readonly runDir: string;
  readonly socket: string;
  /** The agent's record of the last known state. */
  readonly record: string;
  readonly ipamDir: string;
  readonly netConfigPath: string;
  readonly prefix: string;
  readonly bridge: string;
}

/** Parses the flags of a command. Throws ConfigError; FlannelError without root. */
export function parseNode<T extends Words>(
  command: string,
  args: readonly string[],
  words: T,
): { readonly node: NodeOptions; readonly given: Given<T & typeof NODE_WORDS> } | 'help' {
  const given = parseArguments(command, args, { ...NODE_WORDS, ...words });
  if (given === 'help') return 'help';
  const node = nodeOptions(given);
  needRoot(command);
  return { node, given };
}

function nodeOptions(given: Given<typeof NODE_WORDS>): NodeOptions {
  const text = given.o || given.output || 'table';
  const form = FORMS.find((name) => name === text);
  if (form === undefined)
    throw new ConfigError('-o', `${JSON.stringify(text.slice(0, 64))} is none of ${FORMS.join(', ')}`);
  const runDir = given['run-dir'];
  return {
    form,
    runDir,
    socket: join(runDir, SOCKET_NAME),
    record: join(given['state-dir'] || runDir, 'last-known'),
    ipamDir: given['ipam-dir'],
    netConfigPath: given['net-config-path'],
    prefix: given['kube-annotation-prefix'],
    bridge: given.bridge,
  };
}

function needRoot(command: string): void {
  if (process.getuid?.() === 0) return;
  throw new FlannelError(
    'operator',
    `${command} needs root: the agent's socket and its records are for root alone`,
    {
      cure: `Try "sudo flannelctl ${command}"`,
    },
  );
}
