import { isIdentifier } from '#base/identifier.ts';
import { CniError, CODE } from './error.ts';

export const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type Command = (typeof COMMANDS)[number];

/** What the runtime says by environment (specification section "Parameters"). */
export interface CniArgs {
  readonly containerId: string;
  /** Path of the container's network namespace; `''` when the runtime has none any more. */
  readonly netns: string;
  readonly ifName: string;
  /** `CNI_ARGS` by key. */
  readonly extra: ReadonlyMap<string, string>;
  /** `CNI_PATH`, split. */
  readonly path: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

const NEEDED: Record<Command, readonly string[]> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: ['CNI_PATH'],
  VERSION: [],
};

function bad(message: string, details?: string): CniError {
  return new CniError(CODE.INVALID_ENVIRONMENT, message, { details });
}

/** `CNI_COMMAND` as a command. Throws CniError 4. */
export function parseCommand(text: string): Command {
  const command = COMMANDS.find((name) => name === text);
  if (command === undefined) throw bad(`unknown CNI_COMMAND: ${text.slice(0, 32)}`);
  return command;
}

/** An interface name as the kernel takes it (`dev_valid_name`), at most 15 bytes. */
export function isInterfaceName(text: string): boolean {
  if (text === '' || text === '.' || text === '..') return false;
  return /^[^/:\s\x00-\x1f\x7f]+$/.test(text) && new TextEncoder().encode(text).length <= 15;
}

/** Reads and checks the variables that `command` needs. Throws CniError 4 naming each bad one. */
export function parseEnvironment(command: Command, env: Environment): CniArgs {
  const missing = NEEDED[command].filter((name) => (env[name] ?? '') === '');
  if (missing.length > 0) throw bad(`required env variables [${missing.join(',')}] missing`);
  const containerId = env['CNI_CONTAINERID'] ?? '';
  const ifName = env['CNI_IFNAME'] ?? '';
  const wanted = NEEDED[command];
  if (wanted.includes('CNI_CONTAINERID') && !isIdentifier(containerId)) {
    const shown = JSON.stringify(containerId.slice(0, 64));
    throw bad(
      'invalid characters in containerID',
      `CNI_CONTAINERID is ${shown}; allowed is [a-zA-Z0-9][a-zA-Z0-9_.-]*`,
    );
  }
  if (wanted.includes('CNI_IFNAME') && !isInterfaceName(ifName)) {
    throw bad(`CNI_IFNAME: ${JSON.stringify(ifName.slice(0, 64))} is not an interface name of 1 to 15 bytes`);
  }
  return {
    containerId,
    ifName,
    netns: env['CNI_NETNS'] ?? '',
    extra: parseArgs(env['CNI_ARGS'] ?? '', command),
    path: (env['CNI_PATH'] ?? '').split(':').filter((part) => part !== ''),
  };
}

/**
 * `CNI_ARGS`: `K=V;K=V`. Keys that a plugin does not know are another's, whatever `IgnoreUnknown` says. Only ADD and CHECK
 * go by them: a damaged pair must not keep a container from going.
 */
function parseArgs(text: string, command: Command): ReadonlyMap<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(';')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    if (at >= 1) args.set(pair.slice(0, at), pair.slice(at + 1));
    else if (command === 'ADD' || command === 'CHECK') {
      throw bad(`CNI_ARGS: invalid pair ${JSON.stringify(pair.slice(0, 64))}`, 'write K=V;K=V');
    }
  }
  return args;
}
