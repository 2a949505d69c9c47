import { ConfigError } from '#base/errors.ts';
import { BACKEND_TYPES, type NetworkConfig } from '#subnet/config.ts';
import { checkAlloc, createAlloc } from './alloc.ts';
import type { Backend, BackendContext } from './backend.ts';
import { checkExtension, createExtension } from './extension.ts';
import { checkHostGw, createHostGw } from './host-gw.ts';
import { checkVxlan, createVxlan } from './vxlan.ts';

interface BackendKind {
  /** Throws ConfigError for options that it does not take; returns warnings. */
  readonly check: (config: NetworkConfig) => readonly string[];
  readonly create: (context: BackendContext) => Backend;
}

const KINDS: ReadonlyMap<string, BackendKind> = new Map([
  ['vxlan', { check: checkVxlan, create: createVxlan }],
  ['host-gw', { check: checkHostGw, create: createHostGw }],
  ['alloc', { check: checkAlloc, create: createAlloc }],
  ['extension', { check: checkExtension, create: createExtension }],
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
  const kind = KINDS.get(type);
  if (kind !== undefined) return kind;
  const known = BACKEND_TYPES.includes(type);
  throw new ConfigError(
    `${path}Type`,
    known ? `backend ${type} is not built into this version` : `${JSON.stringify(type)} is not a backend`,
    { cure: `Set Backend.Type to one of ${[...KINDS.keys()].join(', ')}` },
  );
}
