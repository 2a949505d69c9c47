import { ACCESS, isAccessible } from '#ffi/file-system.ts';
import type { CniArgs, Environment } from './environment.ts';
import { CniError, CODE } from './error.ts';
import { field, isObject, parseObject, stringField } from './json.ts';
import type { Invocation } from './plugin.ts';
import { parseResult } from './result-parse.ts';
import type { CniResult } from './result.ts';

/** True for the name of a plugin: a file name, never a path. */
export function isPluginName(type: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(type);
}

/** The executable of plugin `type` in CNI_PATH. Throws CniError 7. */
export function findPlugin(type: string, args: CniArgs): string {
  if (!isPluginName(type)) {
    throw new CniError(
      CODE.INVALID_CONFIG,
      `plugin type ${JSON.stringify(type.slice(0, 64))} is not a plugin name`,
    );
  }
  for (const dir of args.path) {
    const path = `${dir}/${type}`;
    if (isAccessible(path, ACCESS.EXECUTE)) return path;
  }
  throw new CniError(
    CODE.INVALID_CONFIG,
    `failed to find plugin ${JSON.stringify(type)} in path [${args.path.join(':')}]`,
    {
      details: `install ${type} into one of these folders`,
    },
  );
}

/**
 * Executes a plugin of somebody else by the CNI protocol and returns its result: undefined for verbs without one. Throws
 * the plugin's own error with its code.
 */
export function executePlugin(type: string, call: Invocation): CniResult | undefined {
  const path = findPlugin(type, call.args);
  const done = spawn(path, call);
  const output = done.stdout.toString('utf8');
  if (!done.success)
    throw pluginError(type, output, `exit code ${done.exitCode} ${done.signalCode ?? ''}`.trim());
  if (call.command !== 'ADD') return undefined;
  return parseResult(parseObject(output, `the result of plugin ${type}`), call.conf.cniVersion);
}

function spawn(path: string, call: Invocation) {
  try {
    return Bun.spawnSync({
      cmd: [path],
      env: childEnvironment(call),
      stdin: new TextEncoder().encode(JSON.stringify(call.conf.raw)),
      stdout: 'pipe',
      stderr: 'inherit',
    });
  } catch (cause) {
    throw new CniError(CODE.IO_FAILURE, `failed to execute plugin ${path}`, {
      cause,
      details: 'it must be an executable program for this machine',
    });
  }
}

/** Ours with this call's command; BUN_* stays here, since a compiled Bun program obeys some of it. */
function childEnvironment(call: Invocation): Record<string, string> {
  const env: Environment = { ...call.host.env, CNI_COMMAND: call.command };
  const entries = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries.filter(([key]) => !key.startsWith('BUN_')));
}

function pluginError(type: string, output: string, how: string): CniError {
  let object: unknown;
  try {
    object = JSON.parse(output);
  } catch {
    object = undefined;
  }
  if (!isObject(object)) {
    const said = output.trim().slice(0, 200);
    return new CniError(CODE.INTERNAL, `plugin ${type} failed with ${how}${said === '' ? '' : `: ${said}`}`);
  }
  const code = field(object, 'code');
  const details = stringField(object, 'details');
  return new CniError(
    typeof code === 'number' ? code : CODE.INTERNAL,
    `plugin ${type}: ${stringField(object, 'msg') ?? how}`,
    {
      details: details === '' ? undefined : details,
    },
  );
}
