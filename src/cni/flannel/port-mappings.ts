import type { Reservation } from '#ipam/store.ts';
import { arrayField, objectField, type JsonObject } from '../json.ts';
import { readNetConf, requirePrevResult, type Invocation } from '../plugin.ts';
import type { CniResult } from '../result.ts';

// A list with `flannel` alone and the capability portMappings does what `portmap` does behind it. A runtime passes the
// mappings to the plugin that declares the capability, so a list with both does it once. `portmap` is loaded when there
// is something to map: the usual pod does not pay for it.

/** Whether the configuration says port mappings, as the runtime passes it or as ADD has kept it for DEL. */
export function saysMappings(raw: JsonObject): boolean {
  const runtime = objectField(raw, 'runtimeConfig');
  return runtime !== undefined && (arrayField(runtime, 'portMappings') ?? []).length > 0;
}

/** After the delegate's ADD: maps the ports to the pod of `result`. */
export async function addPortMappings(call: Invocation, result: CniResult): Promise<void> {
  if (!saysMappings(call.conf.raw)) return;
  const { mapPorts } = await import('../portmap/plugin.ts');
  await mapPorts(portmapCall(call, call.conf.raw), result);
}

/** Removes what ADD mapped; `kept` is what it kept, undefined when that is lost and nobody knows. */
export async function removePortMappings(call: Invocation, kept: JsonObject | undefined): Promise<void> {
  if (kept !== undefined && !saysMappings(kept) && !saysMappings(call.conf.raw)) return;
  const { portmapPlugin, unmapPorts } = await import('../portmap/plugin.ts');
  await (kept === undefined ? portmapPlugin.del(call) : unmapPorts(call));
}

/** Throws CniError 999 when a rule is missing. */
export async function checkPortMappings(call: Invocation, kept: JsonObject): Promise<void> {
  const raw = [call.conf.raw, kept].find(saysMappings);
  if (raw === undefined) return;
  const { checkPorts } = await import('../portmap/plugin.ts');
  await checkPorts(portmapCall(call, raw), requirePrevResult(call.conf));
}

/** GC; `dead`: what containers of the network hold that the runtime does not know. */
export async function collectPortMappings(call: Invocation, dead: readonly Reservation[]): Promise<void> {
  const { collectPorts } = await import('../portmap/plugin.ts');
  await collectPorts(call, dead);
}

/** The keys of `portmap` (`backend`, `snat` …) stand in an object of that name. */
function portmapCall(call: Invocation, { runtimeConfig }: JsonObject): Invocation {
  const { name, cniVersion, raw } = call.conf;
  const keys = objectField(raw, 'portmap') ?? {};
  return { ...call, conf: readNetConf({ ...keys, name, cniVersion, runtimeConfig }) };
}
