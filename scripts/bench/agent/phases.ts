import { NETLINK } from '#netlink/connection.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { decodeNotification, RTNLGRP } from '#rtnetlink/notification.ts';
import { ms, summarise } from '../report.ts';
import type { FatCluster } from './fat-cluster.ts';
import type { MemoryLimit } from './memory-limit.ts';
import { Subject, type SubjectOptions } from './subject.ts';
import { until } from './until.ts';

/** What a phase found: lines of the table, by name. */
export type Figures = Record<string, string>;

const now = () => performance.timeOrigin + performance.now();

function charged(limit: MemoryLimit): Figures {
  const found = limit.charged();
  if (found === undefined) return {};
  const { peakMiB, reclaims, cacheMiB } = found;
  return { 'cgroup peak MiB': `${peakMiB.toFixed(1)} (${reclaims} reclaims, cache ${cacheMiB.toFixed(1)})` };
}

/** From the start of the process to ready, with every peer in the kernel. */
export async function starting(
  subject: Subject,
  { cluster, limit, before }: { cluster: FatCluster; limit: MemoryLimit; before: number },
): Promise<Figures> {
  await subject.ready();
  const readyMs = performance.now() - subject.started;
  const { user, system, all } = subject.cpuMs();
  const peers = subject.routes();
  if (peers !== cluster.nodes - 1) throw new Error(`${peers} routes for ${cluster.nodes - 1} peers`);
  const memory = {
    'RSS MiB': subject.memory('VmRSS').toFixed(1),
    'anonymous MiB': subject.memory('RssAnon').toFixed(1),
    'peak RSS MiB': subject.memory('VmHWM').toFixed(1),
  };
  return {
    'ready ms': readyMs.toFixed(0),
    'CPU ms (user + system)': `${all} (${user} + ${system})`,
    'received MB': (((await cluster.bytesSent()) - before) / 1e6).toFixed(1),
    ...memory,
    ...charged(limit),
  };
}

/** One changed Node to the kernel's notification of it. */
export async function changing(cluster: FatCluster, rounds: number): Promise<Figures> {
  const sample: number[] = [];
  for (let round = 0; round < rounds; round += 1)
    sample.push(await change(cluster, 1 + ((round * 37) % Math.min(900, cluster.nodes - 1))));
  const { median, p95 } = summarise(sample);
  return { 'event ms (median / p95)': `${ms(median)} / ${ms(p95)}` };
}

/** ms from the change in the API to the kernel's notification. */
async function change(cluster: FatCluster, index: number, timeout = 5000): Promise<number> {
  const seen = new Map<string, number>();
  using _monitor = new NetlinkMonitor({
    protocol: NETLINK.ROUTE,
    groups: [RTNLGRP.NEIGH],
    onOverrun: () => {},
    onMessage: (message) => {
      const notification = decodeNotification(message);
      if (notification?.type !== 'neighbour' || notification.action !== 'new') return;
      seen.set(notification.neighbour.mac?.toString() ?? '', now());
    },
  });
  const { vtepMac, at } = await cluster.touch(index);
  await until('the changed peer', () => seen.has(vtepMac), { timeout });
  return (seen.get(vtepMac) ?? Number.NaN) - at;
}

/** Every Node's status once, as fast as the server can; then one change that counts. */
export async function storm(subject: Subject, cluster: FatCluster): Promise<Figures> {
  const before = subject.cpuMs().all;
  const began = performance.now();
  await cluster.beat(1, cluster.nodes - 1);
  const late = await change(cluster, 5, 60_000);
  const took = performance.now() - began;
  const perEvent = ((subject.cpuMs().all - before) * 1000) / (cluster.nodes - 1);
  return {
    'storm: ms, CPU µs per update': `${took.toFixed(0)}, ${perEvent.toFixed(0)}`,
    'storm: change behind it, ms': ms(late),
  };
}

/** A tenth of the Nodes every ten seconds, spread evenly; memory and CPU over the whole time. */
export async function heartbeats(subject: Subject, cluster: FatCluster, minutes: number): Promise<Figures> {
  if (minutes === 0) return {};
  const perSecond = Math.max(1, Math.round((cluster.nodes - 1) / 100));
  const tenth = Math.max(1, Math.floor((cluster.nodes - 1) / 10));
  const memory: number[] = [];
  const began = performance.now();
  const cpu = subject.cpuMs().all;
  let at = 0;
  for (let second = 0; second < minutes * 60; second += 1) {
    await cluster.beat(1 + at, perSecond);
    at = (at + perSecond) % Math.max(1, tenth - perSecond);
    if (second % 5 === 0) memory.push(subject.memory('RssAnon'));
    await Bun.sleep(Math.max(0, began + (second + 1) * 1000 - performance.now()));
    subject.check();
  }
  const share = ((subject.cpuMs().all - cpu) / (performance.now() - began)) * 100;
  const third = Math.ceil(memory.length / 3);
  const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const [first, last] = [mean(memory.slice(0, third)), mean(memory.slice(-third))];
  return {
    [`heartbeats, ${minutes} min: CPU %`]: share.toFixed(2),
    'anonymous MiB, first and last third': `${first.toFixed(1)}, ${last.toFixed(1)}`,
    'anonymous MiB, most': Math.max(...memory).toFixed(1),
  };
}

/** Full passes that found nothing: the first with notifications on, and those of the timer. */
export function idlePasses(subject: Subject): Figures {
  const passes = subject.idlePasses();
  const { median } = summarise(passes);
  return { 'full pass, nothing to do: ms (median, most)': `${median}, ${Math.max(...passes)}` };
}

/** All Nodes at once, for an agent that was alone. */
export async function joining(options: SubjectOptions, nodes: number): Promise<Figures> {
  const { cluster, limit } = options;
  await using subject = new Subject(options);
  await subject.ready();
  await Bun.sleep(500);
  const cpu = subject.cpuMs().all;
  const { began, at } = await cluster.join(1, nodes - 1);
  const complete = () => {
    subject.check();
    return subject.routes() === nodes - 1;
  };
  await until('the peers', complete, { pause: 50 });
  const took = now() - began;
  return {
    'join: ms, of them the server’s': `${took.toFixed(0)}, ${(at - began).toFixed(0)}`,
    'join: CPU ms': String(subject.cpuMs().all - cpu),
    ...Object.fromEntries(Object.entries(charged(limit)).map(([key, value]) => [`join: ${key}`, value])),
  };
}
