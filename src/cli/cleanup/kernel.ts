import { FlannelError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { Claims } from '#host/claims.ts';
import { FileDirectRoutes, MemoryDirectRoutes } from '#host/direct-routes.ts';
import type { KernelOp } from '#host/kernel.ts';
import { NetlinkKernel } from '#host/netlink-kernel.ts';
import { describeEntry } from '#host/plan.ts';
import { readOnlyKernel } from '#host/read-only-kernel.ts';
import { planOf, Reconciler } from '#host/reconcile.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { createTraffic } from '#traffic/create.ts';
import type { Removal } from './remove.ts';

export interface KernelCleanup {
  /** The agent's record of routes through links that are not its own. */
  readonly directRoutes: string;
  /** The bridge of the CNI configuration. */
  readonly bridge: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

/** Ports of the bridge: each is a pod. */
export function podsOn(bridge: string): number {
  using net = Rtnetlink.open();
  const index = net.link(bridge)?.index;
  return index === undefined ? 0 : net.links().filter((link) => link.master === index).length;
}

/** Devices and routes of the agent: what its reconciler removes when nothing is planned. */
export function kernelRemovals(options: KernelCleanup): Removal[] {
  const { directRoutes, bridge, log } = options;
  using net = Rtnetlink.open();
  using real = new NetlinkKernel(net);
  const ops: KernelOp[] = [];
  const remembered = new MemoryDirectRoutes();
  remembered.remember(new FileDirectRoutes(directRoutes).known());
  const dry = new Reconciler({ kernel: readOnlyKernel(real, ops), directRoutes: remembered, log });
  dry.full(planOf({ links: [], blackholes: [] }, new Claims()));
  const what = ops.map(describeOp).join(', ');
  const removals: Removal[] = [];
  if (ops.length > 0) removals.push({ what, remove: () => removeAll(options) });
  if (net.link(bridge)?.kind?.type === 'bridge') {
    removals.push({ what: `link ${bridge}`, remove: () => removeLink(bridge) });
  }
  return removals;
}

function removeAll({ directRoutes, log }: KernelCleanup): void {
  using net = Rtnetlink.open();
  using kernel = new NetlinkKernel(net);
  const reconciler = new Reconciler({ kernel, directRoutes: new FileDirectRoutes(directRoutes), log });
  const { errors } = reconciler.full(planOf({ links: [], blackholes: [] }, new Claims()));
  if (errors[0] !== undefined) throw errors[0];
}

function removeLink(name: string): void {
  using net = Rtnetlink.open();
  if (net.link(name) !== undefined) net.deleteLink(name);
}

function describeOp(op: KernelOp): string {
  switch (op.op) {
    case 'delete-link':
      return `link ${op.name}`;
    case 'delete-blackhole':
      return `blackhole ${op.dst}`;
    case 'remove':
      return describeEntry(op.entry);
    case 'evict':
    case 'put':
    case 'add-address':
    case 'add-blackhole':
    case 'create-vxlan':
    case 'delete-address':
    case 'set-link':
    case 'set-tx-checksum':
      throw new FlannelError('bug', `an empty plan wants ${op.op}`);
  }
}

/** The agent's chains and tables, in both modes. */
export function ruleRemovals({ env }: KernelCleanup): Removal[] {
  return (['iptables', 'nftables'] as const).map((mode) => ({
    what: `${mode} rules of flanneld`,
    traces: async () => {
      await using backend = createTraffic({ mode, env }).backend;
      return backend.traces();
    },
    remove: async () => {
      await using backend = createTraffic({ mode, env }).backend;
      return (await backend.clear()).removed;
    },
  }));
}
