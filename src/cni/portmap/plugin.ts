import { arrayField, objectField } from '../json.ts';
import { invalidConfig, unsupported } from '../error.ts';
import { prevResultOf, type Invocation, type Plugin } from '../plugin.ts';
import type { CniResult } from '../result.ts';

function add(call: Invocation): CniResult {
  const previous = prevResultOf(call.conf);
  if (previous === undefined) {
    throw invalidConfig('must be called as chained plugin', 'put portmap behind another plugin in the list');
  }
  const mappings = arrayField(objectField(call.conf.raw, 'runtimeConfig') ?? {}, 'portMappings') ?? [];
  if (mappings.length === 0) return previous;
  throw unsupported('portMappings', mappings);
}

/** Ports of the node that lead to a pod. */
export const portmapPlugin: Plugin = { add, del: () => {}, check: () => {}, gc: () => {}, status: () => {} };
