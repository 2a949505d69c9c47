import { ConfigError } from '#base/errors.ts';
import { BACKEND_TYPES } from '#subnet/config.ts';
import type { Backend, BackendContext } from './backend.ts';
import { createVxlan } from './vxlan.ts';

/** The backend that the configuration names. Throws for one that this build does not have. */
export function createBackend(context: BackendContext): Backend {
  const { type, path } = context.config.backend;
  if (type === 'vxlan') return createVxlan(context);
  const known = BACKEND_TYPES.includes(type);
  throw new ConfigError(
    `${path}Type`,
    known ? `backend ${type} is not built into this version` : `${JSON.stringify(type)} is not a backend`,
    { cure: 'Set Backend.Type to vxlan' },
  );
}
