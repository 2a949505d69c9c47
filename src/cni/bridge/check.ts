import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import { CniError, CODE } from '../error.ts';
import { ipamOf } from '../ipam.ts';
import { requirePrevResult, type Invocation } from '../plugin.ts';
import type { CniInterface, CniResult } from '../result.ts';
import { parseBridge, type BridgeConfig } from './config.ts';
import { openContainer, type Container } from '../container.ts';
import { gatewayFor } from './gateway.ts';

function broken(message: string): CniError {
  return new CniError(CODE.INTERNAL, `CHECK: ${message}`, {
    details: 'remove the container and add it again',
  });
}

/** CHECK of `bridge`: every interface, address and route of the result is there and as it was. Throws CniError 999. */
export async function bridgeCheck(call: Invocation): Promise<void> {
  const config = parseBridge(call.conf, call.args);
  const previous = requirePrevResult(call.conf);
  if (config.ipamType !== undefined) await ipamOf(config.ipamType).check(call);
  using client = Rtnetlink.open();
  using container = openContainer(call.args.netns);
  const bridge = checkBridge(client, config, previous);
  const hostEnd = checkHostEnd(client, bridge, previous);
  const link = checkContainerEnd(call, container, previous);
  if (config.vlans !== undefined) {
    const { checkVlans } = await import('./vlan.ts');
    checkVlans(client, bridge, { port: hostEnd, vlans: config.vlans });
    checkGatewayInterface(client, config, previous);
  }
  if (config.spoofCheck && link.mac !== undefined) {
    const { checkSpoofCheck, openRules } = await import('./spoof-check.ts');
    const owner = { network: call.conf.name, ...call.args };
    checkSpoofCheck(openRules(call.host), owner, { hostEnd: hostEnd.name, mac: link.mac });
  }
  if (config.ipMasq && previous.ips.length > 0) {
    const { checkMasquerade } = await import('./masquerade.ts');
    const addresses = previous.ips.map(({ address }) => address);
    await checkMasquerade(call, addresses, config.ipMasqBackend);
  }
  if (config.containerDown) return;
  checkAddresses(container, link, previous);
  checkRoutes(container, link, previous);
}

function sameMac(link: Link, entry: CniInterface): boolean {
  return entry.mac === undefined || entry.mac === '' || link.mac?.toString() === entry.mac.toLowerCase();
}

function checkBridge(client: Rtnetlink, config: BridgeConfig, previous: CniResult): Link {
  const entry = previous.interfaces.find(
    ({ name, sandbox = '' }) => name === config.bridge && sandbox === '',
  );
  if (entry === undefined) throw broken(`prevResult does not name bridge ${config.bridge}`);
  const link = client.link(config.bridge);
  if (link === undefined) throw broken(`bridge ${config.bridge} is gone`);
  if (link.kind?.type !== 'bridge') throw broken(`${config.bridge} is not a bridge`);
  if (!sameMac(link, entry))
    throw broken(`bridge ${config.bridge} has MAC ${link.mac} instead of ${entry.mac}`);
  return link;
}

function checkHostEnd(client: Rtnetlink, bridge: Link, previous: CniResult): Link {
  const entry = previous.interfaces.find(({ name, sandbox = '' }) => name !== bridge.name && sandbox === '');
  if (entry === undefined) throw broken('prevResult does not name the host end of the veth pair');
  const link = client.link(entry.name);
  if (link === undefined) throw broken(`interface ${entry.name} is gone`);
  if (link.kind?.type !== 'veth') throw broken(`interface ${entry.name} is not a veth interface`);
  if (link.master !== bridge.index)
    throw broken(`interface ${entry.name} is not a port of bridge ${bridge.name}`);
  if (!sameMac(link, entry))
    throw broken(`interface ${entry.name} has MAC ${link.mac} instead of ${entry.mac}`);
  return link;
}

/** The interface of the VLAN's gateway, when ADD has made one. */
function checkGatewayInterface(
  client: Rtnetlink,
  { bridge, vlans }: BridgeConfig,
  previous: CniResult,
): void {
  const entry = previous.interfaces.find(
    ({ name, sandbox = '' }) => name === `${bridge}.${vlans?.access}` && sandbox === '',
  );
  if (entry === undefined) return;
  const link = client.link(entry.name);
  if (link === undefined) throw broken(`interface ${entry.name} is gone`);
  if (!link.up) throw broken(`interface ${entry.name} is down`);
}

function checkContainerEnd(call: Invocation, container: Container, previous: CniResult): Link {
  const { ifName, netns } = call.args;
  const entry = previous.interfaces.find(({ name, sandbox = '' }) => name === ifName && sandbox !== '');
  if (entry === undefined) throw broken(`prevResult does not name container interface ${ifName}`);
  if (entry.sandbox !== netns)
    throw broken(`prevResult has ${ifName} in ${entry.sandbox}, the call is for ${netns}`);
  const link = container.client.link(ifName);
  if (link === undefined) throw broken(`container interface ${ifName} is gone`);
  if (link.kind?.type !== 'veth') throw broken(`container interface ${ifName} is not a veth interface`);
  if (!sameMac(link, entry))
    throw broken(`container interface ${ifName} has MAC ${link.mac} instead of ${entry.mac}`);
  return link;
}

function checkAddresses(container: Container, link: Link, previous: CniResult): void {
  const present = container.client.addresses({ link: link.index });
  for (const { address } of previous.ips) {
    if (present.some(({ cidr }) => cidr.equals(address))) continue;
    throw broken(`address ${address} is missing on ${link.name}`);
  }
}

function checkRoutes(container: Container, link: Link, previous: CniResult): void {
  for (const route of previous.routes) {
    const { family, length } = route.dst;
    const gateway = gatewayFor(route, previous.ips);
    const found = container.client
      .routes({ family, link: link.index, ...(route.table === undefined ? {} : { table: route.table }) })
      .filter(({ dst }) => (dst === undefined ? length === 0 : dst.equals(route.dst.network())));
    // Without a gateway of its own any route to the destination will do.
    const good = found.some((entry) => route.gw === undefined || entry.gateway?.equals(route.gw) === true);
    if (!good) throw broken(`route ${route.dst}${gateway === undefined ? '' : ` via ${gateway}`} is missing`);
  }
}
