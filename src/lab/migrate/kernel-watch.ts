import { readFileSync } from 'node:fs';
import { withNetns } from '#ffi/netns.ts';
import { Cidr } from '#net/cidr.ts';
import { NETLINK } from '#netlink/connection.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { touchedTable } from '#nftables/notification.ts';
import { NFNLGRP_NFTABLES } from '#nftables/wire.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { NUD } from '#rtnetlink/constants.ts';
import { decodeNotification, RTNLGRP, type RtNotification } from '#rtnetlink/notification.ts';
import { missingFrom, takeSnapshot, type Snapshot, type SnapshotOptions } from '../break/snapshot.ts';
import { openNetns } from '../process/places.ts';
import { LAB_TABLE } from '../serve/services.ts';
import { POD_NETWORK } from '../state/address-plan.ts';
import type { LabState, NodeState } from '../state/state.ts';
import { VTEP } from './original.ts';

const GROUPS = [RTNLGRP.LINK, RTNLGRP.NEIGH, RTNLGRP.IPV4_IFADDR, RTNLGRP.IPV4_ROUTE];

/**
 * Tells what happens to the network of one node: every write that the kernel reports, even one that is taken back at once, and
 * what is different between two looks.
 */
export class KernelWatch implements Disposable {
  readonly #node: NodeState;
  readonly #options: SnapshotOptions;
  readonly #monitors: readonly NetlinkMonitor[];
  readonly #written = new Set<string>();
  readonly #link: number | undefined;
  #last: Snapshot;

  private constructor(node: NodeState, options: SnapshotOptions, last: Snapshot) {
    this.#node = node;
    this.#options = options;
    this.#last = last;
    using netns = openNetns(options.place);
    {
      using net = Rtnetlink.openIn(netns);
      this.#link = net.link(VTEP.name)?.index;
    }
    const onOverrun = () => void this.#written.add('more than could be read');
    this.#monitors = withNetns(netns, () => [
      new NetlinkMonitor({
        protocol: NETLINK.ROUTE,
        groups: GROUPS,
        onMessage: (message) => this.#route(decodeNotification(message)),
        onOverrun,
      }),
      new NetlinkMonitor({
        protocol: NETLINK.NETFILTER,
        groups: [NFNLGRP_NFTABLES],
        onMessage: (message) => {
          const table = touchedTable(message);
          if (table !== undefined && table.name !== LAB_TABLE.name)
            this.#written.add(`rules of table ${table.family} ${table.name} written`);
        },
        onOverrun,
      }),
    ]);
  }

  static async start(
    node: NodeState,
    { traffic }: LabState,
    env: Readonly<Record<string, string>>,
  ): Promise<KernelWatch> {
    const options = { place: { kind: 'node', name: node.name, node }, traffic, env } as const;
    return new KernelWatch(node, options, await look(node, options));
  }

  /** What has happened since the last call, a line each; nothing: an empty list. */
  async changes(): Promise<string[]> {
    for (const monitor of this.#monitors) monitor.drain();
    const now = await look(this.#node, this.#options);
    const gone = missingFrom(this.#last, now).map((line) => `gone: ${line}`);
    const added = missingFrom(now, this.#last).map((line) => `new: ${line}`);
    this.#last = now;
    const written = [...this.#written].map((line) => `written: ${line}`);
    this.#written.clear();
    return [...gone, ...added, ...written];
  }

  [Symbol.dispose](): void {
    for (const monitor of this.#monitors) monitor.close();
  }

  #route(said: RtNotification | undefined): void {
    const what = said === undefined ? undefined : this.#overlay(said);
    if (what !== undefined) this.#written.add(`${said?.action === 'delete' ? 'deleted ' : ''}${what}`);
  }

  /** The object's name when it is one of the agent's, not of a pod or of the node's own network. */
  #overlay(said: RtNotification): string | undefined {
    switch (said.type) {
      case 'link':
        return said.link.name.startsWith('flannel') ? `link ${said.link.name}` : undefined;
      case 'address':
        return said.address.link === this.#link ? `address ${said.address.cidr}` : undefined;
      case 'neighbour': {
        // The kernel has its own for multicast, and lets them go when nobody has asked for a while.
        const { link, ip, state } = said.neighbour;
        const ours = link === this.#link && ip.family === 'ipv4' && state !== NUD.NOARP;
        return ours ? `neighbour ${ip}` : undefined;
      }
      case 'fdb':
        return said.entry.link === this.#link ? `FDB entry ${said.entry.mac}` : undefined;
      case 'route': {
        const { dst, gateway } = said.route;
        const peer = dst !== undefined && gateway !== undefined && Cidr.parse(POD_NETWORK).contains(dst);
        return peer ? `route ${dst}` : undefined;
      }
    }
  }
}

/** The kernel's objects and the file that the CNI plugin reads. */
async function look(node: NodeState, options: SnapshotOptions): Promise<Snapshot> {
  const path = `/proc/${node.pid}/root/run/flannel/subnet.env`;
  const file = readFileSync(path, 'utf8').trimEnd().split('\n');
  return [...(await takeSnapshot(options)), ...file.map((line) => `subnet.env ${line}`)];
}
