import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import { DecodeError } from '#base/errors.ts';
import { NETLINK } from '#netlink/connection.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { decodeNotification, RTNLGRP, type RtNotification } from '#rtnetlink/notification.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, measured } from '../support/netns.ts';

/** Long enough that nothing here can be the work of the safety timer. */
const NEVER = 3_600_000;

interface Watch extends Disposable {
  readonly seen: RtNotification[];
  readonly monitor: NetlinkMonitor;
  overruns(): number;
  /** Resolves with the ms it took until `wanted` is true of something seen; rejects after 30,000 ms. */
  until(wanted: (notification: RtNotification) => boolean): Promise<number>;
}

function watch(groups: readonly number[], receiveBuffer = 1 << 20): Watch {
  const seen: RtNotification[] = [];
  const waiting = new Set<() => void>();
  let overruns = 0;
  const monitor = new NetlinkMonitor({
    protocol: NETLINK.ROUTE,
    groups,
    receiveBuffer,
    safetyMs: NEVER,
    onMessage(message) {
      const notification = decodeNotification(message);
      if (notification !== undefined) seen.push(notification);
      for (const check of waiting) check();
    },
    onOverrun: () => (overruns += 1),
  });
  return {
    seen,
    monitor,
    overruns: () => overruns,
    until(wanted) {
      const start = performance.now();
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const timer = setTimeout(() => reject(new Error('nothing of that kind in 30,000 ms')), 30_000);
      const check = () => {
        if (!seen.some(wanted)) return;
        clearTimeout(timer);
        waiting.delete(check);
        resolve(performance.now() - start);
      };
      waiting.add(check);
      check();
      return promise;
    },
    [Symbol.dispose]: () => monitor.close(),
  };
}

const ALL = Object.values(RTNLGRP);

describeInNetns(import.meta.path, 'monitor', () => {
  test('wakes by the signal alone, again and again', async () => {
    using client = Rtnetlink.open();
    using watching = watch([RTNLGRP.LINK]);
    let slowest = 0;
    for (let i = 0; i < 20; i += 1) {
      const name = `w${i}`;
      await Bun.sleep(i);
      client.createLink({ name, kind: { type: 'bridge' } });
      const ms = await watching.until((each) => each.type === 'link' && each.link.name === name);
      slowest = Math.max(slowest, ms);
    }
    measured(`slowest of 20 wake-ups ${slowest.toFixed(2)} ms`);
  });

  test('reports links, addresses, routes, neighbours and FDB, coming and going', async () => {
    using client = Rtnetlink.open();
    using watching = watch(ALL);
    client.createLink({ name: 'm0', up: true, kind: { type: 'veth', peer: { name: 'm1', up: true } } });
    const link = client.link('m0')?.index ?? 0;
    const cidr = Cidr.parse('10.5.0.1/24');
    const dst = Cidr.parse('10.6.0.0/16');
    const ip = Ip.parse('10.5.0.2');
    const mac = Mac.parse('02:00:00:00:00:09');
    client.addAddress({ link, cidr });
    client.addRoute({ dst, gateway: ip });
    client.addNeighbour({ link, ip, mac });
    client.createLink({ name: 'mx', kind: { type: 'vxlan', vni: 5, port: 8472 } });
    const tunnel = client.link('mx')?.index ?? 0;
    client.addFdb({ link: tunnel, mac, dst: ip });
    client.deleteFdb({ link: tunnel, mac, dst: ip });
    client.deleteNeighbour({ link, ip });
    client.deleteRoute({ dst, gateway: ip });
    client.deleteAddress({ link, cidr });
    client.deleteLink(link);
    await watching.until(
      (each) => each.type === 'link' && each.action === 'delete' && each.link.index === link,
    );
    for (const action of ['new', 'delete'] as const) {
      const of = (wanted: (each: RtNotification) => boolean) =>
        expect(watching.seen.some((each) => each.action === action && wanted(each))).toBe(true);
      of((each) => each.type === 'link' && each.link.name === 'm0');
      of((each) => each.type === 'address' && each.address.cidr.equals(cidr));
      of((each) => each.type === 'route' && each.route.dst?.equals(dst) === true);
      of((each) => each.type === 'neighbour' && each.neighbour.ip.equals(ip));
      of((each) => each.type === 'fdb' && each.entry.mac.equals(mac) && each.entry.link === tunnel);
    }
    expect(watching.overruns()).toBe(0);
  });

  test('leaving a bridge is not the end of a link', async () => {
    using client = Rtnetlink.open();
    client.createLink({ name: 'br9', up: true, kind: { type: 'bridge' } });
    client.createLink({ name: 'p9', kind: { type: 'veth', peer: { name: 'q9' } } });
    const [bridge, port] = [client.link('br9')?.index ?? 0, client.link('p9')?.index ?? 0];
    using watching = watch([RTNLGRP.LINK]);
    client.setLink(port, { master: bridge });
    await watching.until(
      (each) => each.type === 'link' && each.link.index === port && each.link.master === bridge,
    );
    client.setLink(port, { master: 0 });
    await watching.until(
      (each) => each.type === 'link' && each.link.index === port && each.link.master === undefined,
    );
    await Bun.sleep(20);
    expect(watching.seen.filter((each) => each.action === 'delete')).toEqual([]);
  });

  test('costs nothing while nothing happens', async () => {
    using _watching = watch(ALL);
    await Bun.sleep(100);
    const before = process.cpuUsage();
    await Bun.sleep(1000);
    const { user, system } = process.cpuUsage(before);
    measured(`idle monitor: ${((user + system) / 1000).toFixed(1)} ms of CPU in 1,000 ms`);
    expect(user + system).toBeLessThan(50_000);
  });

  test('reports an overrun of its buffer and goes on', async () => {
    using client = Rtnetlink.open();
    using watching = watch([RTNLGRP.LINK], 4096);
    client.createLink({ name: 'flap', mtu: 1400, kind: { type: 'bridge' } });
    const index = client.link('flap')?.index ?? 0;
    // All of it before the event loop can run.
    for (let i = 0; i < 500; i += 1) client.setLink(index, { mtu: 1000 + i });
    expect(watching.seen.length).toBe(0);
    await watching.until((each) => each.type === 'link');
    expect(watching.overruns()).toBeGreaterThan(0);
    expect(watching.seen.length).toBeLessThan(500);
    client.setLink(index, { mtu: 1500 });
    await watching.until(
      (each) => each.type === 'link' && each.link.mtu === 1500 && each.link.name === 'flap',
    );
  });

  test('what cannot be decoded counts as lost, and does not end the event loop', async () => {
    using client = Rtnetlink.open();
    let overruns = 0;
    using _monitor = new NetlinkMonitor({
      protocol: NETLINK.ROUTE,
      groups: [RTNLGRP.LINK],
      onMessage: () => {
        throw new DecodeError('link', 0, 'made up');
      },
      onOverrun: () => (overruns += 1),
    });
    client.createLink({ name: 'strange', kind: { type: 'bridge' } });
    await eventually(() => expect(overruns).toBeGreaterThan(0));
  });

  test('the safety timer drains what no signal announced', async () => {
    using client = Rtnetlink.open();
    let messages = 0;
    using _monitor = new NetlinkMonitor({
      protocol: NETLINK.ROUTE,
      groups: [RTNLGRP.LINK],
      safetyMs: 30,
      onMessage: () => (messages += 1),
      onOverrun: () => {},
    });
    // Without its listener SIGURG does nothing at all.
    process.removeAllListeners('SIGURG');
    client.createLink({ name: 'quiet', kind: { type: 'bridge' } });
    await eventually(() => expect(messages).toBeGreaterThan(0));
  });

  test('a closed monitor is silent, and closing twice is harmless', async () => {
    using client = Rtnetlink.open();
    const watching = watch([RTNLGRP.LINK]);
    watching.monitor.close();
    watching.monitor.close();
    client.createLink({ name: 'late', kind: { type: 'bridge' } });
    await Bun.sleep(30);
    watching.monitor.drain();
    expect(watching.seen).toEqual([]);
    expect(process.listenerCount('SIGURG')).toBe(0);
  });
});
