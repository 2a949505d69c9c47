import type { Cidr } from '#net/cidr.ts';
import { invalidConfig } from '../error.ts';
import { prevResultOf, requirePrevResult, type Invocation, type Plugin } from '../plugin.ts';
import type { CniResult } from '../result.ts';
import { parsePortmap } from './config.ts';

/** The addresses inside the container: those on an interface with a sandbox, or on no interface in particular. */
function containerAddresses({ ips, interfaces }: CniResult): readonly Cidr[] {
  return ips
    .filter((ip) => ip.interface === undefined || (interfaces[ip.interface]?.sandbox ?? '') !== '')
    .map(({ address }) => address);
}

async function add(call: Invocation): Promise<CniResult> {
  const previous = prevResultOf(call.conf);
  if (previous === undefined) {
    throw invalidConfig('must be called as chained plugin', 'put portmap behind another plugin in the list');
  }
  const config = parsePortmap(call.conf);
  if (config.mappings.length === 0) return previous;
  const { addForwarding } = await import('./nftables.ts');
  addForwarding({
    config,
    containerId: call.args.containerId,
    addresses: containerAddresses(previous),
  });
  return previous;
}

/** By container ID alone: a runtime need not say again what was mapped. */
async function del(call: Invocation): Promise<void> {
  const { removeForwarding } = await import('./nftables.ts');
  removeForwarding(call.args.containerId);
}

async function check(call: Invocation): Promise<void> {
  const config = parsePortmap(call.conf);
  if (config.mappings.length === 0) return;
  const addresses = containerAddresses(requirePrevResult(call.conf));
  const { checkForwarding } = await import('./nftables.ts');
  checkForwarding({ config, containerId: call.args.containerId, addresses });
}

/** Ports of the node that lead to a pod. */
export const portmapPlugin: Plugin = {
  add,
  del,
  check,
  // The rules name their container but not their network: other networks' containers are not in the list.
  gc: () => {},
  status: (call) => void parsePortmap(call.conf),
};
