import { FlannelError } from '#base/errors.ts';
import { identify } from '#ffi/file-system.ts';
import { parseCommand, parseEnvironment, type CniArgs, type Command } from './environment.ts';
import { CniError, CODE, renderError } from './error.ts';
import { parseObject, type JsonObject } from './json.ts';
import {
  commandAllowed,
  readNetConf,
  versionOf,
  type Host,
  type Invocation,
  type Plugin,
  type PluginName,
} from './plugin.ts';
import { renderResult } from './result-render.ts';
import { checkVersion, CURRENT_VERSION, renderVersions, SUPPORTED_VERSIONS } from './version.ts';

/** How a plugin talks to the runtime. */
export interface PluginIo {
  /** All of standard input. */
  readStdin(): string;
  writeStdout(text: string): void;
  readonly host: Host;
}

/**
 * Runs one plugin call by the CNI protocol and returns the exit code. Standard output holds the result, or the error
 * object with exit code 1, and nothing else. `plugin` is only called for verbs that reach the plugin.
 */
export async function runPlugin(
  name: PluginName,
  plugin: () => Promise<Plugin>,
  io: PluginIo,
): Promise<number> {
  const verb = io.host.env['CNI_COMMAND'] ?? '';
  if (verb === '') {
    io.host.warn(`CNI ${name} plugin of Flannel: a container runtime calls it with CNI_COMMAND set`);
    io.host.warn(`CNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}`);
    return 0;
  }
  let version = CURRENT_VERSION;
  try {
    const command = parseCommand(verb);
    if (command === 'VERSION') {
      io.writeStdout(renderVersions());
      return 0;
    }
    const args = parseEnvironment(command, io.host.env);
    const raw = parseObject(io.readStdin(), 'the network configuration on standard input');
    if (SUPPORTED_VERSIONS.includes(versionOf(raw))) version = versionOf(raw);
    const call = prepare({ command, args, raw, host: io.host });
    const output = await dispatch(await plugin(), call);
    if (output !== undefined) io.writeStdout(output);
    return 0;
  } catch (error) {
    io.writeStdout(renderError(error, version));
    reportBug(error, io.host);
    return 1;
  }
}

/** Checks that every call needs before the plugin sees it. */
function prepare(input: { command: Command; args: CniArgs; raw: JsonObject; host: Host }): Invocation {
  const { command, args, raw, host } = input;
  const conf = readNetConf(raw);
  checkVersion(conf.cniVersion);
  if (!commandAllowed(command, conf.cniVersion)) {
    throw new CniError(CODE.INCOMPATIBLE_VERSION, `config version does not allow ${command}`, {
      details: `cniVersion is ${conf.cniVersion}`,
    });
  }
  refuseOwnNetns(args.netns, host);
  return { command, args, conf, host };
}

/** Plugging a pod into the node's own namespace would rewire the node: refused as libcni does, unless overridden. */
function refuseOwnNetns(netns: string, host: Host): void {
  if (netns === '' || ['1', 'true'].includes((host.env['CNI_NETNS_OVERRIDE'] ?? '').toLowerCase())) return;
  const theirs = identify(netns);
  if (theirs === undefined || theirs.id !== identify('/proc/self/ns/net')?.id) return;
  throw new CniError(CODE.INVALID_NETNS, "plugin's netns and netns from CNI_NETNS should not be the same", {
    details: `CNI_NETNS is ${netns}; set CNI_NETNS_OVERRIDE=true if this is meant`,
  });
}

/** Calls the verb; text for standard output, if any. */
async function dispatch(plugin: Plugin, call: Invocation): Promise<string | undefined> {
  switch (call.command) {
    case 'ADD':
      return renderResult(await plugin.add(call), call.conf.cniVersion);
    case 'DEL':
      await plugin.del(call);
      return undefined;
    case 'CHECK':
      await plugin.check(call);
      return undefined;
    case 'GC':
      await plugin.gc(call);
      return undefined;
    case 'STATUS':
      await plugin.status(call);
      return undefined;
    case 'VERSION':
      return renderVersions();
  }
}

/** A stack is for faults of the program alone, and never on standard output. */
function reportBug(error: unknown, host: Host): void {
  if (error instanceof FlannelError && error.actor !== 'bug') return;
  if (!(error instanceof Error) || 'syscall' in error) return;
  host.warn(`this is a fault of the program itself; please report it: ${error.stack ?? error.message}`);
}
