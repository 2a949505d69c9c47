import { isNotFound } from '#base/errors.ts';
import type { Ip } from '#net/ip.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { deleteNeighbour } from '#rtnetlink/requests.ts';
import { ipamOf } from '../ipam.ts';
import { prevResultOf, type Invocation } from '../plugin.ts';
import type { CniResult } from '../result.ts';
import { parseIdentity, type BridgeIdentity } from './config.ts';
import { openLivingContainer } from '../container.ts';

/**
 * DEL of `bridge`: the pair, the addresses, what the node remembers of them. Done again it finds nothing and succeeds. The
 * address is freed last: it must not go to a new pod while the old one still has it.
 */
export async function bridgeDel(call: Invocation): Promise<void> {
  const identity = parseIdentity(call.conf);
  const previous = safePrevResult(call);
  using client = Rtnetlink.open();
  const found = removeInterface(call) ?? removeHostEnd(client, identity.bridge, previous);
  const freed = identity.ipamType === undefined ? [] : ipamOf(identity.ipamType).del(call);
  const ips = [...found, ...freed, ...(previous?.ips ?? []).map(({ address }) => address.ip)];
  forgetNeighbours(client, identity, ips);
  if (identity.spoofCheck) {
    const { removeSpoofCheck, openRules } = await import('./spoof-check.ts');
    removeSpoofCheck(openRules(call.host), { network: call.conf.name, ...call.args });
  }
  if (identity.ipMasq) {
    const { removeMasquerade } = await import('./masquerade.ts');
    await removeMasquerade(call);
  }
}

/** A damaged `prevResult` must not keep a container from going. */
function safePrevResult(call: Invocation): CniResult | undefined {
  try {
    return prevResultOf(call.conf);
  } catch (error) {
    call.host.warn(`bridge: DEL goes on without prevResult: ${String(error)}`);
    return undefined;
  }
}

/** Deletes the container's end, and with it the pair; its addresses. Undefined when the namespace is gone. */
function removeInterface(call: Invocation): Ip[] | undefined {
  using container = openLivingContainer(call.args.netns);
  if (container === undefined) return undefined;
  const link = container.client.link(call.args.ifName);
  if (link === undefined) return [];
  if (link.kind?.type !== 'veth') {
    call.host.warn(`bridge: ${link.name} in ${call.args.netns} is not a veth interface: it stays`);
    return [];
  }
  const addresses = container.client.addresses({ link: link.index });
  tolerated(() => container.client.deleteLink(link.index));
  return addresses.map(({ cidr }) => cidr.ip).filter((ip) => !ip.isLinkLocal());
}

/**
 * With the namespace's file gone something may still hold the namespace itself, and the pair lives on as a port of the
 * bridge. The result of ADD names the host's end; name, MAC and bridge must all agree.
 */
function removeHostEnd(client: Rtnetlink, bridgeName: string, previous: CniResult | undefined): Ip[] {
  const bridge = client.link(bridgeName);
  for (const { name, mac, sandbox } of previous?.interfaces ?? []) {
    if ((sandbox ?? '') !== '' || name === bridgeName || bridge === undefined) continue;
    const link = client.link(name);
    if (link?.kind?.type !== 'veth' || link.master !== bridge.index) continue;
    if (mac !== undefined && link.mac?.toString() !== mac.toLowerCase()) continue;
    tolerated(() => client.deleteLink(link.index));
  }
  return [];
}

function forgetNeighbours(client: Rtnetlink, { bridge, vlan }: BridgeIdentity, ips: readonly Ip[]): void {
  if (ips.length === 0) return;
  const link = client.link(vlan === undefined ? bridge : `${bridge}.${vlan}`);
  if (link === undefined) return;
  // Errors are "not there", which is the aim.
  client.apply(ips.map((ip) => deleteNeighbour({ link: link.index, ip })));
}

/** Somebody else may be faster: the kernel removes a dead namespace's links by itself. */
function tolerated(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
