import { ConfigError } from '#base/errors.ts';
import { BACKEND_TYPES, type NetworkConfig } from '#subnet/config.ts';
import type { Backend, BackendContext } from './backend.ts';
import { createVxlan, readVxlanOptions } from './vxlan.ts';

/** The backend that the configuration names. Throws ConfigError as `checkBackend` does. */
export function createBackend(context: BackendContext): Backend {
  checkBackend(context.config);
  return createVxlan(context);
}

/**
 * Throws ConfigError for a backend that this build does not have, and for options that it does not take. Returns warnings,
 * e.g. about unknown keys.
 */
export function checkBackend(config: NetworkConfig): readonly string[] {
  const { type, path } = config.backend;
  if (type === 'vxlan') return readVxlanOptions(config).warnings;
  const known = BACKEND_TYPES.includes(type);
  throw new ConfigError(
    `${path}Type`,
    known ? `backend ${type} is not built into this version` : `${JSON.stringify(type)} is not a backend`,
    { cure: 'Set Backend.Type to vxlan' },
  );
}
