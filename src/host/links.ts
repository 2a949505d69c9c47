import type { HostLink, KernelOp } from './kernel.ts';
import type { HostPlan, VxlanLink } from './plan.ts';

/** Names that only Flannel's backends give to devices, by kind; one of another kind is left alone. */
const OURS: ReadonlyMap<string, RegExp> = new Map([
  ['vxlan', /^flannel(-v6)?\.\d+$/],
  ['wireguard', /^flannel-wg(-v6)?$/],
  ['ipip', /^flannel\.ipip$/],
]);

export interface LinkDifference {
  readonly ops: readonly KernelOp[];
  /** What was found, in words; empty when the link is as it should be. */
  readonly found: readonly string[];
  /** The link is made anew: all its entries are gone with it. */
  readonly created: boolean;
}

/** What has to happen to one link. Properties that cannot be changed on a living device make it anew. */
export function linkDifference(
  wanted: VxlanLink,
  live: HostLink | undefined,
  parent: HostLink | undefined,
): LinkDifference {
  const bringUp: KernelOp = { op: 'set-link', name: wanted.name, up: true };
  const create: KernelOp[] = [{ op: 'create-vxlan', link: wanted }, bringUp];
  if (live === undefined) return { ops: create, found: [`link ${wanted.name} missing`], created: true };
  const wrong = incompatibilities(wanted, live, parent);
  if (wrong.length > 0) {
    const ops: KernelOp[] = [{ op: 'delete-link', name: wanted.name }, ...create];
    return { ops, found: [`link ${wanted.name} has ${wrong.join(', ')}`], created: true };
  }
  const found: string[] = [];
  const change: { mtu?: number; mac?: VxlanLink['mac']; up?: true; leave?: true } = {};
  if (live.mtu !== wanted.mtu) {
    change.mtu = wanted.mtu;
    found.push(`link ${wanted.name} has MTU ${live.mtu}, not ${wanted.mtu}`);
  }
  if (!wanted.mac.equals(live.mac)) {
    change.mac = wanted.mac;
    found.push(`link ${wanted.name} has MAC ${live.mac ?? 'none'}, not ${wanted.mac}`);
  }
  if (live.master !== undefined) {
    change.leave = true;
    found.push(`link ${wanted.name} is part of another device`);
  }
  if (!live.up) {
    change.up = true;
    found.push(`link ${wanted.name} is down`);
  }
  return {
    ops: found.length === 0 ? [] : [{ op: 'set-link', name: wanted.name, ...change }],
    found,
    created: false,
  };
}

function incompatibilities(wanted: VxlanLink, live: HostLink, parent: HostLink | undefined): string[] {
  const { vxlan } = live;
  if (vxlan === undefined) return [`kind ${live.kind ?? 'device'}, not vxlan`];
  const wrong: string[] = [];
  if (vxlan.vni !== wanted.vni) wrong.push(`VNI ${vxlan.vni}, not ${wanted.vni}`);
  if (vxlan.port !== wanted.port) wrong.push(`port ${vxlan.port}, not ${wanted.port}`);
  if (vxlan.local === undefined || !vxlan.local.equals(wanted.local)) {
    wrong.push(`local ${vxlan.local ?? 'any'}, not ${wanted.local}`);
  }
  if (vxlan.remote !== undefined) wrong.push(`default destination ${vxlan.remote}`);
  if (parent !== undefined && vxlan.parent !== parent.index) wrong.push(`another parent than ${parent.name}`);
  if (vxlan.learning !== wanted.learning) wrong.push(`learning ${vxlan.learning ? 'on' : 'off'}`);
  if (vxlan.gbp !== wanted.gbp) wrong.push(`gbp ${vxlan.gbp ? 'on' : 'off'}`);
  return wrong;
}

/** Devices of Flannel's backends that are not planned, and planned ones that somebody gave another name: they hold the VNI. */
export function staleLinks(
  plan: Pick<HostPlan, 'links' | 'keepDevices'>,
  live: readonly HostLink[],
): readonly HostLink[] {
  if (plan.keepDevices === true) return [];
  const names = new Set(plan.links.map((link) => link.name));
  return live
    .filter(({ name }) => !names.has(name))
    .filter((link) => OURS.get(link.kind ?? '')?.test(link.name) === true || isRenamed(plan.links, link));
}

/** VNI, port and family make a VXLAN device unique in its namespace; the MAC, chosen by chance, says that it is ours. */
function isRenamed(wanted: readonly VxlanLink[], { vxlan, mac }: HostLink): boolean {
  return wanted.some(
    (link) =>
      vxlan?.vni === link.vni &&
      vxlan.port === link.port &&
      vxlan.local?.family === link.local.family &&
      link.mac.equals(mac),
  );
}
