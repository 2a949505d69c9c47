import { parseVtepMac } from '#backend/vxlan-data.ts';
import { FAMILIES } from '#net/family.ts';
import { Mac } from '#net/mac.ts';
import { nodeLease } from '#subnet/kube/node-lease.ts';
import type { Lease } from '#subnet/lease.ts';
import { error, few, orOk, type Check, type Finding } from '../finding.ts';

/** How many duplicates are told one by one. */
const MOST = 10;

export const duplicates: Check = {
  id: 'duplicates',
  title: 'no two Nodes have one address, pod subnet or VTEP MAC',
  async run({ cluster, config }) {
    const context = { config: config(), keys: cluster.keys };
    const nodes = await cluster.nodes();
    const leases = nodes.flatMap((node) => nodeLease(node, context).lease ?? []);
    const findings = [
      ...twice(leases, 'public address', publicIps),
      ...twice(leases, 'pod subnet', subnets),
      ...twice(leases, 'VTEP MAC', macs),
    ];
    return orOk(findings.slice(0, MOST), `${nodes.length} Nodes`);
  },
};

type Keys = (lease: Lease) => readonly string[];

const sides = ({ families }: Lease) => FAMILIES.flatMap((family) => families[family] ?? []);
const publicIps: Keys = (lease) => sides(lease).map(({ publicIp }) => publicIp.toString());
const subnets: Keys = (lease) => sides(lease).map(({ subnet }) => subnet.toString());
const macs: Keys = (lease) => {
  if (lease.backendType !== 'vxlan') return [];
  const all = sides(lease).map(({ backendData }) => parseVtepMac(backendData));
  // The devices of the two families of one node may share theirs.
  return [...new Set(all.flatMap((mac) => (mac instanceof Mac ? mac.toString() : [])))];
};

const TROUBLE: Readonly<Record<string, { readonly why: string; readonly cure: string }>> = {
  'public address': {
    why: 'packets for all of them go to one machine: to a node under its old name, or to the wrong one (each has the NAT address of its virtual machine)',
    cure: 'kubectl delete node <the one that is no more>, or name the right interface with --iface, --iface-can-reach or --public-ip',
  },
  'pod subnet': {
    why: 'only the first of them by name is reached',
    cure: 'kubectl delete node <the one that is no more>; else drain and delete one, so that it gets another podCIDR',
  },
  'VTEP MAC': {
    why: 'only the first of them by name is reached: the machines were copied, device and all',
    cure: 'on one of them: ip link delete flannel.1, remove the annotation backend-data of its Node, and start the agent again',
  },
};

function twice(leases: readonly Lease[], what: string, keysOf: Keys): Finding[] {
  const owners = new Map<string, string[]>();
  for (const lease of leases) {
    for (const key of keysOf(lease)) owners.set(key, [...(owners.get(key) ?? []), lease.name]);
  }
  const { why = '', cure = '' } = TROUBLE[what] ?? {};
  return [...owners]
    .filter(([, names]) => names.length > 1)
    .map(([key, names]) => error({ what: `the ${what} ${key} is that of ${few(names)}`, why, cure }));
}
