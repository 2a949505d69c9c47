import { ConfigError } from '#base/errors.ts';

/** A JSON object as CNI passes it around. */
export type CniObject = Readonly<Record<string, unknown>>;

/** A network configuration list (CNI spec 1.1.0, section 1). */
export interface Conflist {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly (CniObject & { readonly type: string })[];
}

/** The conflist that Flannel's manifest installs (`cni-conf.json` of the ConfigMap). */
export const FLANNEL_CONFLIST = {
  name: 'cbr0',
  cniVersion: '0.3.1',
  plugins: [
    { type: 'flannel', delegate: { hairpinMode: true, isDefaultGateway: true } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
} as const;

/** Parses `*.conflist`; `path` names the file in errors. */
export function parseConflist(path: string, text: string): Conflist {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(path, 'is not JSON', { cause: error });
  }
  if (!isObject(value)) throw new ConfigError(path, 'is not a JSON object');
  const { name, cniVersion, plugins } = value;
  if (typeof name !== 'string' || name === '') throw new ConfigError(`${path}: name`, 'must be a name');
  if (typeof cniVersion !== 'string') throw new ConfigError(`${path}: cniVersion`, 'must be a string');
  if (!Array.isArray(plugins) || plugins.length === 0)
    throw new ConfigError(`${path}: plugins`, 'must be a list with at least one plugin');
  return {
    name,
    cniVersion,
    plugins: plugins.map((plugin: unknown, at) => {
      if (!isObject(plugin) || typeof plugin['type'] !== 'string' || !/^[\w.-]+$/.test(plugin['type']))
        throw new ConfigError(`${path}: plugins[${at}].type`, 'must be the name of a plugin');
      return { ...plugin, type: plugin['type'] };
    }),
  };
}

export interface PluginInput {
  readonly conflist: Conflist;
  /** Which plugin of the list. */
  readonly index: number;
  /** The result of the plugin before (ADD), of the whole chain (CHECK, DEL). */
  readonly prevResult: CniObject | undefined;
  /** Capability arguments of the container by capability name, e.g. `portMappings`. */
  readonly capabilityArgs: CniObject;
}

/**
 * The configuration that a runtime passes to one plugin (CNI spec, section 2 "Deriving execution configuration from plugin
 * configuration"): name and version of the list, `capabilities` replaced by the `runtimeConfig` of those the plugin
 * declares, `prevResult` of the plugin before.
 */
export function pluginConfiguration(input: PluginInput): CniObject {
  const { conflist, index, prevResult, capabilityArgs } = input;
  const { capabilities, ...plugin } = conflist.plugins[index] ?? { type: '' };
  const declared = isObject(capabilities) ? capabilities : {};
  const runtimeConfig = Object.fromEntries(
    Object.entries(capabilityArgs).filter(([capability]) => declared[capability] === true),
  );
  return {
    ...plugin,
    name: conflist.name,
    cniVersion: conflist.cniVersion,
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
    ...(prevResult === undefined ? {} : { prevResult }),
  };
}

/** The first address of a CNI result (`ips[0].address`) without its prefix length. */
export function firstAddress(result: CniObject): string | undefined {
  const ips = result['ips'];
  const first: unknown = Array.isArray(ips) ? ips[0] : undefined;
  const address = isObject(first) ? first['address'] : undefined;
  return typeof address === 'string' ? address.split('/')[0] : undefined;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
