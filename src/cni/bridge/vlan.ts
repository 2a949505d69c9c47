import { hasErrno, isExists } from '#base/errors.ts';
import type { Rtnetlink } from '#rtnetlink/client.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { PortVlan } from '#rtnetlink/link/bridge-vlan.ts';
import { addPortVlans, deletePortVlans } from '#rtnetlink/requests.ts';
import { CniError, CODE } from '../error.ts';
import type { Host } from '../plugin.ts';
import type { BridgeConfig } from './config.ts';
import { LinkGone } from './bridge-link.ts';
import { prepareBridge } from './sysctl.ts';
import { vlanInterfaceName, type VlanConfig } from './vlan-config.ts';

/** Makes the bridge look at tags. Ports that are there stay together: all are in the bridge's default VLAN. */
export function enableVlanFiltering(client: Rtnetlink, bridge: Link): void {
  if (bridge.kind?.type !== 'bridge' || bridge.kind.vlanFiltering === true) return;
  try {
    client.setLink(bridge.index, { kind: { type: 'bridge', vlanFiltering: true } });
  } catch (cause) {
    if (!hasErrno(cause, 'EOPNOTSUPP')) throw cause;
    throw new CniError(CODE.UNSUPPORTED_FIELD, 'vlan, vlanTrunk: this kernel does not filter VLANs', {
      cause,
      details: 'use a kernel with CONFIG_BRIDGE_VLAN_FILTERING, or remove the keys',
    });
  }
}

/** Pure: what a port of these VLANs leaves and what it joins, in this order. */
export function planPort(
  { access, trunk, keepDefault }: VlanConfig,
  defaultVlan: number | undefined,
): { readonly leave: readonly PortVlan[]; readonly join: readonly PortVlan[] } {
  // A bridge with vlan_default_pvid 0 puts its ports nowhere.
  const leave = keepDefault || !defaultVlan ? [] : [{ first: defaultVlan, last: defaultVlan }];
  const join = access === undefined ? trunk : [{ first: access, last: access, pvid: true, untagged: true }];
  return { leave, join };
}

/** Pure: those of `wanted` that `present` does not cover, with its flags. */
export function missingVlans(wanted: readonly PortVlan[], present: readonly PortVlan[]): readonly number[] {
  return wanted.flatMap(({ first, last, pvid = false, untagged = false }) => {
    const ids = Array.from({ length: last - first + 1 }, (_, at) => first + at);
    const covers = (vlan: PortVlan, id: number) =>
      vlan.first <= id &&
      id <= vlan.last &&
      (vlan.pvid ?? false) === pvid &&
      (vlan.untagged ?? false) === untagged;
    return ids.filter((id) => !present.some((vlan) => covers(vlan, id)));
  });
}

/** Puts a port into its VLANs. Done again it changes nothing. */
export function joinVlans(client: Rtnetlink, bridge: Link, on: { port: number; vlans: VlanConfig }): void {
  const { port, vlans } = on;
  const defaultVlan = bridge.kind?.type === 'bridge' ? bridge.kind.vlanDefaultPvid : undefined;
  const { leave, join } = planPort(vlans, defaultVlan);
  const requests = [...(leave.length > 0 ? [deletePortVlans(port, leave)] : []), addPortVlans(port, join)];
  for (const error of client.apply(requests)) if (error !== undefined) throw error;
}

/** Throws CniError 999 when the bridge does not filter or a port is not where it must be. */
export function checkVlans(client: Rtnetlink, bridge: Link, on: { port: Link; vlans: VlanConfig }): void {
  const { port, vlans } = on;
  if (bridge.kind?.type !== 'bridge' || bridge.kind.vlanFiltering !== true) {
    throw broken(`bridge ${bridge.name} does not filter VLANs`);
  }
  const missing = missingVlans(planPort(vlans, undefined).join, client.portVlans(port.index));
  if (missing.length > 0) {
    throw broken(`interface ${port.name} is not in VLAN ${missing.slice(0, 10).join(', ')} as it must be`);
  }
}

function broken(message: string): CniError {
  return new CniError(CODE.INTERNAL, `CHECK: ${message}`, {
    details: 'remove the container and add it again',
  });
}

/**
 * The interface `<bridge>.<vlan>` that carries the gateway address of a VLAN, up: one end of a veth pair whose other end
 * is an access port. Any number of calls may do this at once, and one that was killed half way is completed.
 */
export function ensureVlanInterface(
  client: Rtnetlink,
  on: { bridge: Link; vlans: VlanConfig; vlan: number; config: BridgeConfig; host: Host },
): { readonly link: Link; readonly created: boolean } {
  const { bridge, vlans, vlan, config } = on;
  const name = vlanInterfaceName(bridge.name, vlan);
  const created = client.link(name) === undefined && createVlanInterface(client, name, on);
  const link = client.link(name);
  if (link === undefined) throw new LinkGone(name);
  const port = link.kind?.type === 'veth' && link.parent !== undefined ? client.link(link.parent) : undefined;
  if (port?.master !== bridge.index) {
    throw new CniError(CODE.INTERNAL, `${name} already exists but does not lead into bridge ${bridge.name}`, {
      details: `remove or rename that interface: it is where the gateway of VLAN ${vlan} must be`,
    });
  }
  joinVlans(client, bridge, { port: port.index, vlans });
  if (!link.up) {
    prepareBridge(name, config.dad);
    client.setLink(link.index, { up: true });
  }
  return { link, created };
}

/** False when somebody else was faster. */
function createVlanInterface(
  client: Rtnetlink,
  name: string,
  { bridge, config, host }: { bridge: Link; config: BridgeConfig; host: Host },
): boolean {
  const { mtu } = config;
  try {
    client.createLink({
      name: `veth${host.random(4).toHex()}`,
      kind: { type: 'veth', peer: { name, mtu } },
      mtu,
      master: bridge.index,
      up: true,
    });
    return true;
  } catch (error) {
    if (isExists(error) && client.link(name) !== undefined) return false;
    throw error;
  }
}
