import { describe } from '#base/errors.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import { deleteNeighbour } from '#rtnetlink/requests.ts';
import { CniError, CODE } from '../error.ts';
import { ipamOf } from '../ipam.ts';
import type { Invocation } from '../plugin.ts';
import { EMPTY_RESULT, isEmptyDns, type CniResult } from '../result.ts';
import { LinkGone, ensureBridge, ensureGateway, removeUnused, removeUnusedGateway } from './bridge-link.ts';
import { parseBridge, type BridgeConfig } from './config.ts';
import { openContainer, type Container } from '../container.ts';
import { announce, configureContainer } from './container.ts';
import { familiesOf, planAddressing, type Addressing } from './gateway.ts';
import { enableForwarding } from './sysctl.ts';
import { createPair, interfaceExists, setUpPort, waitForCarrier, type VethPair } from './veth.ts';

/** How often a bridge that another ADD takes back, because it failed, is made again under our hands. */
const BRIDGE_TRIES = 5;

interface Work {
  readonly call: Invocation;
  readonly config: BridgeConfig;
  readonly client: Rtnetlink;
  readonly container: Container;
  /** Undone in reverse order when a later step fails. */
  readonly undo: (() => void | Promise<void>)[];
}

/** ADD of `bridge`. What was made before a failure is taken back. */
export async function bridgeAdd(call: Invocation): Promise<CniResult> {
  const config = parseBridge(call.conf, call.args);
  using container = openContainer(call.args.netns);
  if (container.client.link(call.args.ifName) !== undefined) throw interfaceExists(call.args.ifName);
  using client = Rtnetlink.open();
  const work: Work = { call, config, client, container, undo: [] };
  try {
    return await build(work);
  } catch (error) {
    await undoTo(work, 0);
    throw error;
  }
}

/** Takes back all but the first `kept` things that were made. */
async function undoTo({ call, undo }: Work, kept: number): Promise<void> {
  for (const step of undo.splice(kept).reverse()) {
    try {
      await step();
    } catch (error) {
      call.host.warn(`bridge: clean-up after a failed ADD: ${describe(error)}`);
    }
  }
}

async function build(work: Work): Promise<CniResult> {
  // First what fails most: without an address nothing is made.
  const ipam = await reserve(work);
  const addressing = planAddressing(ipam, work.config);
  const kept = work.undo.length;
  for (let tries = 1; ; tries += 1) {
    try {
      return await buildOn(work, findBridge(work), { ipam, addressing });
    } catch (error) {
      if (!(error instanceof LinkGone) || tries === BRIDGE_TRIES) throw error;
      await undoTo(work, kept);
    }
  }
}

function findBridge({ call, config, client, undo }: Work): Link {
  const { bridge, created } = ensureBridge(client, config, call.host);
  if (created) undo.push(() => removeUnused(client, bridge));
  return bridge;
}

interface Plan {
  readonly ipam: CniResult;
  readonly addressing: Addressing;
}

/** Throws LinkGone when the bridge, or the interface of its VLAN, goes meanwhile, whatever failed by that. */
async function buildOn(work: Work, bridge: Link, plan: Plan): Promise<CniResult> {
  const shared = [bridge];
  try {
    const gateway = await prepareVlans(work, bridge, plan.addressing);
    if (gateway !== undefined) shared.push(gateway);
    return await attach(work, { bridge, gatewayLink: gateway }, plan);
  } catch (error) {
    const gone = shared.find(({ index }) => work.client.link(index) === undefined);
    throw gone === undefined ? error : new LinkGone(gone.name, error);
  }
}

async function attach(
  work: Work,
  { bridge, gatewayLink }: { readonly bridge: Link; readonly gatewayLink: Link | undefined },
  { ipam, addressing }: Plan,
): Promise<CniResult> {
  const { call, config, client, container } = work;
  const link = gatewayLink ?? bridge;
  for (const gateway of addressing.gateways)
    ensureGateway(client, { bridge, link, config, host: call.host }, gateway);
  for (const family of familiesOf(addressing.gateways)) enableForwarding(family);
  const pair = createPair({ client, container, bridge, ifName: call.args.ifName, config, host: call.host });
  work.undo.push(() => client.deleteLink(pair.hostEnd.index));
  if (config.vlans !== undefined) {
    const { joinVlans } = await import('./vlan.ts');
    joinVlans(client, bridge, { port: pair.hostEnd.index, vlans: config.vlans });
  }
  if (config.spoofCheck) await checkSource(work, pair);
  if (config.containerDown) setUpPort({ client, bridge, hostEnd: pair.hostEnd, config });
  else connect(work, { bridge, gateway: link, pair, addressing });
  if (config.ipMasq && addressing.ips.length > 0) {
    const { addMasquerade, removeMasquerade } = await import('./masquerade.ts');
    work.undo.push(async () => removeMasquerade(call));
    const addresses = addressing.ips.map(({ address }) => address);
    await addMasquerade(call, addresses, config.ipMasqBackend);
  }
  return {
    interfaces: [
      { name: bridge.name, mac: bridge.mac?.toString() },
      { name: pair.hostEnd.name, mac: pair.hostEnd.mac?.toString() },
      { name: call.args.ifName, mac: pair.containerEnd.mac?.toString(), sandbox: call.args.netns },
      ...(gatewayLink === undefined ? [] : [{ name: gatewayLink.name, mac: gatewayLink.mac?.toString() }]),
    ],
    ips: addressing.ips,
    routes: addressing.routes,
    dns: isEmptyDns(config.dns) ? ipam.dns : config.dns,
  };
}

/** Makes the bridge filter VLANs when there are any; the interface of the pod's VLAN where it needs a gateway. */
async function prepareVlans(work: Work, bridge: Link, addressing: Addressing): Promise<Link | undefined> {
  const { call, config, client, undo } = work;
  const { vlans } = config;
  if (vlans === undefined) return undefined;
  const { enableVlanFiltering, ensureVlanInterface } = await import('./vlan.ts');
  enableVlanFiltering(client, bridge);
  if (vlans.access === undefined || addressing.gateways.length === 0) return undefined;
  const on = { bridge, vlans, vlan: vlans.access, config, host: call.host };
  const { link, created } = ensureVlanInterface(client, on);
  if (created) undo.push(() => removeUnusedGateway(client, bridge, link));
  return link;
}

/** Before the container's end goes up: not one frame passes unchecked. */
async function checkSource({ call, undo }: Work, { hostEnd, containerEnd }: VethPair): Promise<void> {
  const { mac } = containerEnd;
  if (mac === undefined) return;
  const { addSpoofCheck, removeSpoofCheck, openRules } = await import('./spoof-check.ts');
  const nft = openRules(call.host);
  const owner = { network: call.conf.name, ...call.args };
  undo.push(() => removeSpoofCheck(nft, owner));
  addSpoofCheck(nft, owner, { hostEnd: hostEnd.name, mac });
}

/** Addresses from the IPAM plugin. The interface is not there yet, so an older reservation is of an ADD that failed. */
async function reserve({ call, config, undo }: Work): Promise<CniResult> {
  if (config.ipamType === undefined) return EMPTY_RESULT;
  const ipam = ipamOf(config.ipamType);
  const result = await ipam.add(call, async () => false);
  undo.push(() => void ipam.del({ ...call, command: 'DEL' }));
  if (result.ips.length === 0) throw new CniError(CODE.INTERNAL, 'IPAM plugin returned missing IP config');
  return result;
}

function connect(
  work: Work,
  made: { bridge: Link; gateway: Link; pair: VethPair; addressing: Addressing },
): void {
  const { call, config, client, container } = work;
  const { bridge, gateway, pair, addressing } = made;
  const setup = { container, link: pair.containerEnd, addressing, config, host: call.host };
  configureContainer(setup);
  const port = { client, bridge, hostEnd: pair.hostEnd, config };
  // What the node remembers of the last owner of an address would make a black hole of it.
  const forgotten = addressing.ips.map(({ address }) =>
    deleteNeighbour({ link: gateway.index, ip: address.ip }),
  );
  waitForCarrier(port, setUpPort(port, forgotten), call.host);
  announce(setup);
}
