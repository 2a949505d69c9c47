/** The plugins that one executable holds, by the names they are called by. */
export const PLUGINS = ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'] as const;
export type Plugin = (typeof PLUGINS)[number];

/** What stands under a plugin's name. Digests are SHA-256, hexadecimal. */
export interface Found {
  readonly digest: string;
}

/** The record that an installation leaves beside the plugins: by it a later one, or a cleanup, knows what is ours. */
export interface InstallRecord {
  /** Version that installed last. */
  readonly version: string;
  /** Digest of each file that we installed. */
  readonly files: Readonly<Partial<Record<Plugin, string>>>;
  /** Digest of the executable that is being installed. A run that was killed leaves some names with this one, others with that of `files`. */
  readonly installing?: string;
}

/** Whether a file under a plugin's name was put there by us. */
export function isOurs(record: InstallRecord | undefined, plugin: Plugin, digest: string): boolean {
  return record?.files[plugin] === digest || record?.installing === digest;
}

export interface Situation {
  /** Digest of the executable to install. */
  readonly wanted: string;
  readonly found: Readonly<Partial<Record<Plugin, Found>>>;
  readonly record: InstallRecord | undefined;
  /** Replace other programs' `bridge`, `host-local`, `loopback` and `portmap`, too. */
  readonly replaceOthers: boolean;
}

export type Decision =
  /** The file is there already, byte for byte. */
  | { readonly plugin: Plugin; readonly action: 'keep' }
  /** Somebody else's plugin of this name: left alone. */
  | { readonly plugin: Plugin; readonly action: 'leave' }
  | { readonly plugin: Plugin; readonly action: 'install'; readonly why: 'missing' | 'update' | 'replace' };

/**
 * Decides for each plugin. `flannel` always becomes ours. The others belong to the node's own package as a rule (kubernetes-cni,
 * containernetworking-plugins): they are put where there is none, so that none can be missing, and replaced only when asked for.
 */
export function decide({ wanted, found, record, replaceOthers }: Situation): Decision[] {
  return PLUGINS.map((plugin): Decision => {
    const file = found[plugin];
    if (file === undefined) return { plugin, action: 'install', why: 'missing' };
    if (file.digest === wanted) return { plugin, action: 'keep' };
    if (isOurs(record, plugin, file.digest)) return { plugin, action: 'install', why: 'update' };
    if (plugin === 'flannel' || replaceOthers) return { plugin, action: 'install', why: 'replace' };
    return { plugin, action: 'leave' };
  });
}

/** Reads a record. One that cannot be read is as good as none: nothing is taken for ours then. */
export function parseRecord(text: string): InstallRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('version' in value) || !('files' in value))
    return undefined;
  const { version, files } = value;
  const installing = 'installing' in value ? value.installing : undefined;
  if (typeof version !== 'string' || typeof files !== 'object' || files === null) return undefined;
  const known: Partial<Record<Plugin, string>> = {};
  for (const plugin of PLUGINS) {
    const digest = (files as Record<string, unknown>)[plugin];
    if (isDigest(digest)) known[plugin] = digest;
  }
  return { version, files: known, ...(isDigest(installing) ? { installing } : {}) };
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
