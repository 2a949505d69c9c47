import { ConfigError } from '#base/errors.ts';
import type { OptionSchema } from '#subnet/backend-options.ts';
import { BACKEND_TYPES, type NetworkConfig } from '#subnet/config.ts';
import { checkAlloc, createAlloc } from './alloc.ts';
import type { Backend, BackendContext } from './backend.ts';
import { checkExtension, createExtension, EXTENSION_OPTIONS } from './extension.ts';
import { checkHostGw, createHostGw } from './host-gw.ts';
import { checkVxlan, createVxlan, VXLAN_OPTIONS } from './vxlan.ts';

interface BackendKind {
  /** Throws ConfigError for options that it does not take; returns warnings. */
  readonly check: (config: NetworkConfig) => readonly string[];
  readonly create: (context: BackendContext) => Backend;
  /** The keys that it takes. */
  readonly options: OptionSchema;
}

/** The backends of this version by their type. */
export const BACKENDS: ReadonlyMap<string, BackendKind> = new Map([
  ['vxlan', { check: checkVxlan, create: createVxlan, options: VXLAN_OPTIONS }],
  ['host-gw', { check: checkHostGw, create: createHostGw, options: {} }],
  ['alloc', { check: checkAlloc, create: createAlloc, options: {} }],
  ['extension', { check: checkExtension, create: createExtension, options: EXTENSION_OPTIONS }],
]);

/** The backend that the configuration names. Throws ConfigError as `checkBackend` does. */
export function createBackend(context: BackendContext): Backend {
  return kindOf(context.config).create(context);
}

/**
 * Throws ConfigError for a backend that this build does not have, and for options that it does not take. Returns warnings,
 * e.g. about unknown keys.
 */
export function checkBackend(config: NetworkConfig): readonly string[] {
  return kindOf(config).check(config);
}

function kindOf(config: NetworkConfig): BackendKind {
  const { type, path } = config.backend;
  const kind = BACKENDS.get(type);
  if (kind !== undefined) return kind;
  const known = BACKEND_TYPES.includes(type);
  throw new ConfigError(
    `${path}Type`,
    known ? `backend ${type} is not built into this version` : `${JSON.stringify(type)} is not a backend`,
    { cure: `Set Backend.Type to one of ${[...BACKENDS.keys()].join(', ')}` },
  );
}
