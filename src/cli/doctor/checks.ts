import { addresses } from './checks/addresses.ts';
import { agent } from './checks/agent.ts';
import { api } from './checks/api.ts';
import { brNetfilter } from './checks/br-netfilter.ts';
import { bridge } from './checks/bridge.ts';
import { certificates } from './checks/certificates.ts';
import { checksum } from './checks/checksum.ts';
import { clock } from './checks/clock.ts';
import { cniOrder } from './checks/cni-order.ts';
import { cniPlugins } from './checks/cni-plugins.ts';
import { conflist } from './checks/conflist.ts';
import { duplicates } from './checks/duplicates.ts';
import { external } from './checks/external.ts';
import { foreignVxlan } from './checks/foreign-vxlan.ts';
import { forward } from './checks/forward.ts';
import { forwarding } from './checks/forwarding.ts';
import { ipam } from './checks/ipam.ts';
import { iptables } from './checks/iptables.ts';
import { kernel } from './checks/kernel.ts';
import { masquerade } from './checks/masquerade.ts';
import { mtu } from './checks/mtu.ts';
import { neighbourTable } from './checks/neighbour-table.ts';
import { netConf } from './checks/net-conf.ts';
import { node } from './checks/node.ts';
import { overlap } from './checks/overlap.ts';
import { overlay } from './checks/overlay.ts';
import { pathMtu } from './checks/path-mtu.ts';
import { permissions } from './checks/permissions.ts';
import { plan, rules, stale } from './checks/plan.ts';
import { repairs } from './checks/repairs.ts';
import { rpFilter } from './checks/rp-filter.ts';
import { subnetFile } from './checks/subnet-file.ts';
import { sync } from './checks/sync.ts';
import type { Check } from './finding.ts';

/** All checks, in the order in which they are told: what others build on comes first. */
export const CHECKS: readonly Check[] = [
  kernel,
  brNetfilter,
  forwarding,
  rpFilter,
  neighbourTable,
  iptables,
  netConf,
  external,
  overlap,
  foreignVxlan,
  conflist,
  cniOrder,
  cniPlugins,
  api,
  certificates,
  clock,
  permissions,
  node,
  duplicates,
  agent,
  sync,
  repairs,
  subnetFile,
  plan,
  rules,
  stale,
  mtu,
  bridge,
  overlay,
  pathMtu,
  checksum,
  ipam,
  addresses,
  forward,
  masquerade,
];
