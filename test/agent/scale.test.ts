import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { fatNode, fatPeer, fillFatNodes } from '#lab/api/fat-node.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { NETLINK } from '#netlink/connection.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { NUD } from '#rtnetlink/constants.ts';
import { decodeNotification, RTNLGRP } from '#rtnetlink/notification.ts';
import { addNeighbour } from '#rtnetlink/requests.ts';
import { AgentWorld } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, measured, must } from '../support/netns.ts';

const NET_CONF = '{"Network":"10.0.0.0/8","EnableNFTables":true,"Backend":{"Type":"vxlan"}}';
/** The kernel's default of gc_thresh3. Its file is in the machine's first namespace alone, the table is everybody's. */
const DEFAULT_LIMIT = 1024;

async function worldOf(nodes: number): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: NET_CONF, api: { historyLimit: 20_000 } });
  fillFatNodes(world.api, nodes);
  return world;
}

const NODE = { env: { NODE_NAME: 'node-00000' } };

interface Counts {
  readonly neighbours: number;
  readonly routes: number;
  readonly fdb: number;
}

/** Permanent neighbours, routes with a gateway and FDB entries with a destination on the overlay's device. */
function counts(rtnetlink: Rtnetlink): Counts {
  const link = rtnetlink.link('flannel.1')?.index ?? 0;
  const permanent = ({ state }: { readonly state: number }) => (state & NUD.PERMANENT) !== 0;
  return {
    neighbours: rtnetlink.neighbours({ link, family: 'ipv4' }).filter(permanent).length,
    routes: rtnetlink.routes({ link, family: 'ipv4' }).filter(({ gateway }) => gateway !== undefined).length,
    fdb: rtnetlink.fdb({ link }).filter(({ dst }) => dst !== undefined).length,
  };
}

const all = (peers: number): Counts => ({ neighbours: peers, routes: peers, fdb: peers });

function anonymousMb(pid: number): number {
  return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Learned neighbours on eth0 until the kernel has no room for one more; returns how many it took and what it then said. */
function fillTable(rtnetlink: Rtnetlink): { readonly taken: number; readonly refusal: string } {
  const link = rtnetlink.link('eth0')?.index ?? 0;
  const first = Ip.parse('192.168.64.1');
  const requests = Array.from({ length: 2 * DEFAULT_LIMIT }, (_, at) =>
    addNeighbour({
      link,
      ip: first.add(at),
      mac: Mac.fromBytes(Uint8Array.of(2, 0, 0, 0, at >>> 8, at & 255)),
      state: NUD.REACHABLE,
    }),
  );
  const errors = rtnetlink.apply(requests);
  const refusal = errors.find((error) => error !== undefined && error.code !== 'EEXIST');
  return { taken: errors.filter((error) => error === undefined).length, refusal: refusal?.code ?? '' };
}

describeInNetns(import.meta.path, 'thousands of peers', () => {
  test('5,000, then 5,000 more at once, while the neighbour table is full of learned entries', async () => {
    await using world = await worldOf(5001);
    using rtnetlink = Rtnetlink.open();
    const before = fillTable(rtnetlink);
    expect(before.taken).toBeLessThanOrEqual(DEFAULT_LIMIT);
    expect(before.refusal).toBe('ENOBUFS');
    await using agent = await world.startReady([], NODE);
    expect(counts(rtnetlink)).toEqual(all(5000));
    // The kernel gives up entries that it has not heard of for five seconds.
    expect(fillTable(rtnetlink).refusal).toBe('ENOBUFS');
    const start = performance.now();
    for (let index = 5001; index <= 10_000; index += 1) world.api.nodes.create(fatNode(index));
    const sent = performance.now() - start;
    await eventually(() => expect(counts(rtnetlink)).toEqual(all(10_000)), 60_000);
    const took = performance.now() - start;
    expect(agent.count('ERROR')).toBe(0);
    expect(agent.count('repaired')).toBe(0);
    measured(
      `5,000 nodes joining at once: ${Math.round(took)} ms, ${Math.round(sent)} of them the API server's`,
    );
    expect(anonymousMb(agent.pid)).toBeLessThan(150);
  });

  test('status updates that change nothing for us reach nobody; a change behind thousands of them does', async () => {
    await using world = await worldOf(301);
    using rtnetlink = Rtnetlink.open();
    await using agent = await world.startReady(['--v=1'], NODE);
    // The kernel checks a new link-local address for a second, and its end of that would be a change of eth0.
    await eventually(() => expect(must(['ip', '-6', 'addr', 'show', 'tentative'])).toBe(''));
    await eventually(() => expect(agent.log).toContain('first look with notifications on'));
    await Bun.sleep(200);
    const passes = agent.count('full pass');
    const seen: string[] = [];
    using _monitor = new NetlinkMonitor({
      protocol: NETLINK.ROUTE,
      groups: [RTNLGRP.NEIGH, RTNLGRP.IPV4_ROUTE, RTNLGRP.LINK],
      onOverrun: () => seen.push('overrun'),
      onMessage: (message) => {
        const notification = decodeNotification(message);
        if (notification !== undefined) seen.push(notification.type);
      },
    });
    for (let round = 0; round < 10; round += 1) {
      for (let index = 1; index <= 300; index += 1) {
        world.api.nodes.update(fatPeer(index).name, (node) => {
          node.status = { ...node.status, phase: `round ${round}` };
        });
      }
      await Bun.sleep(20);
    }
    const last = fatPeer(300);
    world.annotate(last.name, { 'flannel.alpha.coreos.com/public-ip': '192.0.2.77' });
    const link = rtnetlink.link('flannel.1')?.index ?? 0;
    await eventually(
      () => expect(rtnetlink.fdb({ link }).map(({ dst }) => dst?.toString())).toContain('192.0.2.77'),
      20_000,
    );
    await Bun.sleep(200);
    // The one change: the FDB entry that leads to another address now. The rest of the peer stays as it is.
    expect(new Set(seen)).toEqual(new Set(['fdb']));
    expect(seen.length).toBeLessThanOrEqual(2);
    expect(agent.count('full pass')).toBe(passes);
    expect(counts(rtnetlink)).toEqual(all(300));
  });
});
