import type { Cidr } from '#net/cidr.ts';
import { invalidConfig } from '../error.ts';
import {
  prevResultOf,
  requirePrevResult,
  validAttachments,
  type Invocation,
  type Plugin,
} from '../plugin.ts';
import type { CniResult } from '../result.ts';
import { parsePortmap, type PortmapConfig } from './config.ts';
import type { Forwarding, Target } from './forwarding.ts';

/** The addresses inside the container: those on an interface with a sandbox, or on no interface in particular. */
function containerAddresses({ ips, interfaces }: CniResult): readonly Cidr[] {
  return ips
    .filter((ip) => ip.interface === undefined || (interfaces[ip.interface]?.sandbox ?? '') !== '')
    .map(({ address }) => address);
}

function forwardingOf({ conf, args }: Invocation, config: PortmapConfig, result: CniResult): Forwarding {
  const addresses = containerAddresses(result);
  return { config, network: conf.name, containerId: args.containerId, addresses };
}

/** Maps the ports of `runtimeConfig.portMappings` to the pod of `result`. Loads what it needs when there are any. */
export async function mapPorts(call: Invocation, result: CniResult): Promise<void> {
  const config = parsePortmap(call.conf);
  if (config.mappings.length === 0) return;
  const { addForwarding } = await import('./forward.ts');
  await addForwarding(forwardingOf(call, config, result), call.host);
}

/** Throws CniError 999 when a rule is missing. */
export async function checkPorts(call: Invocation, result: CniResult): Promise<void> {
  const config = parsePortmap(call.conf);
  if (config.mappings.length === 0) return;
  const { checkForwarding } = await import('./forward.ts');
  await checkForwarding(forwardingOf(call, config, result), call.host);
}

async function add(call: Invocation): Promise<CniResult> {
  const previous = prevResultOf(call.conf);
  if (previous === undefined) {
    throw invalidConfig('must be called as chained plugin', 'put portmap behind another plugin in the list');
  }
  await mapPorts(call, previous);
  return previous;
}

/** By container ID alone: a runtime need not say again what was mapped. */
async function del(call: Invocation): Promise<void> {
  const owner = { network: call.conf.name, containerId: call.args.containerId };
  const { openWhereMapped } = await import('./presence.ts');
  const connection = openWhereMapped(call.host, owner);
  if (connection === undefined) return;
  const { removeForwarding } = await import('./forward.ts');
  await removeForwarding(owner, call.host, connection);
}

/** As DEL for a container that is known to have mappings. */
export async function unmapPorts({ conf, args, host }: Invocation): Promise<void> {
  const { removeForwarding } = await import('./forward.ts');
  await removeForwarding({ network: conf.name, containerId: args.containerId }, host);
}

/**
 * GC. `dead`: addresses of the network that are held by containers which the runtime does not know: by them rules are told
 * that do not say their network.
 */
export async function collectPorts(call: Invocation, dead: readonly Target[]): Promise<void> {
  const valid = new Set(validAttachments(call.conf).map(({ containerId }) => containerId));
  const { collectForwarding } = await import('./forward.ts');
  await collectForwarding({ network: call.conf.name, valid, dead }, call.host);
}

/** Ports of the node that lead to a pod. */
export const portmapPlugin: Plugin = {
  add,
  del,
  check: async (call) => checkPorts(call, requirePrevResult(call.conf)),
  gc: (call) => collectPorts(call, []),
  status: (call) => void parsePortmap(call.conf),
};
