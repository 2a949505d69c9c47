import { isIdentifier } from '#base/identifier.ts';
import type { Attachment } from '#ipam/store.ts';
import { CniError, CODE, invalidConfig } from './error.ts';
import type { CniArgs, Command, Environment } from './environment.ts';
import { objectField, stringField, type JsonObject } from './json.ts';
import { parseResult } from './result-parse.ts';
import type { CniResult } from './result.ts';
import { atLeast } from './version.ts';

export const PLUGIN_NAMES = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'] as const;
export type PluginName = (typeof PLUGIN_NAMES)[number];

/** What a plugin needs of the machine besides the kernel's network: replaced in tests. */
export interface Host {
  /** For programs that are executed as delegates. */
  readonly env: Environment;
  /** Milliseconds since the epoch. */
  wallClock(): number;
  /** Monotonic, ms. */
  now(): number;
  /** Blocks the process for `ms`: a plugin has nothing else to do. */
  sleep(ms: number): void;
  /** `count` random bytes. */
  random(count: number): Uint8Array;
  /** The kernel's ID of this boot. */
  bootId(): string;
  /** Keeps `resource` to the end of the call, or of the process when that ends with it. */
  untilExit<T extends Disposable>(resource: T): T;
  /** One line for the runtime's log (standard error). */
  warn(line: string): void;
}

/** The network configuration: what every plugin knows of it, and the whole object as it came. */
export interface NetConf {
  readonly cniVersion: string;
  readonly name: string;
  readonly raw: JsonObject;
}

/** One call of a plugin. */
export interface Invocation {
  readonly command: Command;
  readonly args: CniArgs;
  readonly conf: NetConf;
  readonly host: Host;
}

type Maybe<T> = T | Promise<T>;

/** A CNI plugin; each verb throws when it fails. DEL must succeed when there is nothing left to remove. */
export interface Plugin {
  add(call: Invocation): Maybe<CniResult>;
  del(call: Invocation): Maybe<void>;
  check(call: Invocation): Maybe<void>;
  gc(call: Invocation): Maybe<void>;
  status(call: Invocation): Maybe<void>;
}

/** Reads name and version of a configuration. Throws CniError 7 for a bad name; the version is not judged here. */
export function readNetConf(raw: JsonObject): NetConf {
  const name = stringField(raw, 'name') ?? '';
  if (name === '') throw invalidConfig('missing network name', 'set "name" in the network configuration');
  if (!isIdentifier(name)) {
    const shown = JSON.stringify(name.slice(0, 64));
    throw invalidConfig(
      `invalid characters found in network name ${shown}`,
      'use [a-zA-Z0-9][a-zA-Z0-9_.-]*',
    );
  }
  return { cniVersion: versionOf(raw), name, raw };
}

/** `cniVersion`; absent means 0.1.0, which had no such key. */
export function versionOf(raw: JsonObject): string {
  return stringField(raw, 'cniVersion') || '0.1.0';
}

/** The result of the plugin before in the chain; undefined when this is the first. */
export function prevResultOf(conf: NetConf): CniResult | undefined {
  const object = objectField(conf.raw, 'prevResult');
  return object === undefined ? undefined : parseResult(object, conf.cniVersion);
}

/** As `prevResultOf` where the specification promises one: CHECK. */
export function requirePrevResult(conf: NetConf): CniResult {
  const result = prevResultOf(conf);
  if (result === undefined) throw new CniError(CODE.INVALID_CONFIG, 'Required prevResult missing');
  return result;
}

/**
 * The attachments that GC must keep (`cni.dev/valid-attachments`). Throws CniError 7 when the list is missing or damaged: an empty list would remove
 * everything, so it must have been said.
 */
export function validAttachments(conf: NetConf): readonly Attachment[] {
  const key = 'cni.dev/valid-attachments';
  const list = conf.raw[key] ?? conf.raw['cni.dev/attachments'];
  if (!Array.isArray(list)) throw invalidConfig(`${key} is missing`, 'a runtime passes it with GC');
  return list.map((entry: unknown) => {
    const object = typeof entry === 'object' && entry !== null ? (entry as JsonObject) : {};
    const containerId = stringField(object, 'containerID');
    const ifName = stringField(object, 'ifname');
    if (containerId !== undefined && ifName !== undefined) return { containerId, ifName };
    throw invalidConfig(`${key}: ${JSON.stringify(entry)} needs containerID and ifname`);
  });
}

/** The oldest version that has a command. */
export function commandAllowed(command: Command, cniVersion: string): boolean {
  if (command === 'CHECK') return atLeast(cniVersion, '0.4.0');
  return command === 'GC' || command === 'STATUS' ? atLeast(cniVersion, '1.1.0') : true;
}
