// The agent against an API server program with many realistic Nodes (about 18 KB of JSON each), in a network namespace that
// goes with the process: start to ready and to all routes, memory at that point, one changed Node to the kernel.
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { NETLINK } from '#netlink/connection.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { decodeNotification, RTNLGRP } from '#rtnetlink/notification.ts';
import { ms, must, printTable, summarise } from './report.ts';

const root = new URL('../..', import.meta.url).pathname;
const bun = process.execPath;
const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000,5000' },
    limit: { type: 'string', default: '50' },
    events: { type: 'string', default: '20' },
  },
});

interface Figures {
  readonly readyMs: number;
  readonly routes: number;
  readonly cpuMs: number;
  readonly rssMb: number;
  readonly anonymousMb: number;
  readonly peakMb: number;
  readonly cgroupPeakMb: string;
  readonly receivedMb: number;
  readonly eventMs: readonly number[];
}

/** Fields of /proc/<pid>/status in kB. */
function memory(pid: number): (name: string) => number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024;
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A memory cgroup with a limit, where this machine lets us make one. */
class MemoryLimit implements Disposable {
  readonly path: string | undefined;

  constructor(megabytes: number) {
    const path = `/sys/fs/cgroup/memory/flannel-bench-${process.pid}`;
    try {
      mkdirSync(path);
      writeFileSync(`${path}/memory.limit_in_bytes`, String(megabytes * 1024 * 1024));
      this.path = path;
    } catch {
      console.log(`(no memory cgroup here: the limit of ${megabytes} MiB is not tried)`);
    }
  }

  add(pid: number): void {
    if (this.path !== undefined) writeFileSync(`${this.path}/cgroup.procs`, String(pid));
  }

  read(name: string): number | undefined {
    return this.path === undefined
      ? undefined
      : Number(readFileSync(`${this.path}/memory.${name}`, 'utf8').split('\n')[0]);
  }

  [Symbol.dispose](): void {
    if (this.path !== undefined) rmdirSync(this.path);
  }
}

async function until(what: string, test: () => boolean | Promise<boolean>, timeout = 60_000): Promise<void> {
  const end = performance.now() + timeout;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeout} ms`);
    await Bun.sleep(2);
  }
}

async function measure(nodes: number): Promise<Figures> {
  const work = mkdtempSync('/tmp/flannel-bench-');
  const port = 18_000;
  const api = Bun.spawn(
    [bun, `${root}scripts/fat-api.ts`, '--nodes', String(nodes), '--port', String(port), '--gzip'],
    {
      stdout: 'pipe',
    },
  );
  const url = `http://127.0.0.1:${port}`;
  using limit = new MemoryLimit(Number(values.limit));
  let agent: Bun.Subprocess | undefined;
  using rtnetlink = Rtnetlink.open();
  try {
    await until(
      'API server',
      () =>
        fetch(`${url}/readyz`).then(
          (answer) => answer.ok,
          () => false,
        ),
      60_000,
    );
    writeFileSync(
      `${work}/net-conf.json`,
      '{"Network":"10.0.0.0/8","EnableNFTables":true,"Backend":{"Type":"vxlan"}}',
    );
    const before = await stats(url);
    const start = performance.now();
    // The shell-free way into a cgroup before the first page is touched: a child that joins, then executes the agent.
    agent = Bun.spawn(
      [
        `${root}dist/bin/flanneld`,
        '--kube-subnet-mgr',
        '--ip-masq',
        `--kube-api-url=${url}`,
        `--subnet-file=${work}/run/subnet.env`,
        `--net-config-path=${work}/net-conf.json`,
        '--healthz-port=18001',
        '--healthz-ip=127.0.0.1',
      ],
      {
        env: { PATH: process.env['PATH'] ?? '', NODE_NAME: 'node-00000' },
        stdout: 'ignore',
        stderr: Bun.file(`${work}/log`),
      },
    );
    const { pid } = agent;
    limit.add(pid);
    await until('ready', () => {
      if (agent?.exitCode !== null)
        throw new Error(`flanneld ended: ${readFileSync(`${work}/log`, 'utf8').slice(-2000)}`);
      return fetch('http://127.0.0.1:18001/readyz').then(
        (answer) => answer.ok,
        () => false,
      );
    });
    const readyMs = performance.now() - start;
    const link = rtnetlink.link('flannel.1')?.index ?? 0;
    const routes = rtnetlink
      .routes({ family: 'ipv4', link })
      .filter((route) => route.gateway !== undefined).length;
    const field = memory(pid);
    const after = await stats(url);
    const figures = {
      readyMs,
      routes,
      cpuMs: cpuMs(pid),
      rssMb: field('VmRSS'),
      anonymousMb: field('RssAnon'),
      peakMb: field('VmHWM'),
    };
    await Bun.sleep(1500);
    const eventMs: number[] = [];
    for (let i = 0; i < Number(values.events); i += 1) eventMs.push(await event(url, i));
    const failures = limit.read('failcnt');
    const peak = limit.read('max_usage_in_bytes');
    const cgroupPeakMb =
      peak === undefined ? '-' : `${(peak / 1048576).toFixed(1)} (reclaimed ${failures ?? 0} times)`;
    return { ...figures, cgroupPeakMb, receivedMb: (after.bytesSent - before.bytesSent) / 1e6, eventMs };
  } finally {
    agent?.kill('SIGTERM');
    await agent?.exited;
    api.kill('SIGTERM');
    await api.exited;
    rmSync(work, { recursive: true, force: true });
    if (rtnetlink.link('flannel.1') !== undefined) rtnetlink.deleteLink('flannel.1');
  }
}

async function stats(url: string): Promise<{ bytesSent: number }> {
  return (await fetch(`${url}/-/stats`)).json() as Promise<{ bytesSent: number }>;
}

/** Gives one Node another VTEP MAC and waits for the kernel's notification of it; ms from the change in the API. */
async function event(url: string, round: number): Promise<number> {
  const index = 1 + ((round * 37) % 900);
  const seen = new Map<string, number>();
  using _monitor = new NetlinkMonitor({
    protocol: NETLINK.ROUTE,
    groups: [RTNLGRP.NEIGH],
    onOverrun: () => {},
    onMessage: (message) => {
      const notification = decodeNotification(message);
      if (notification?.type !== 'neighbour' || notification.action !== 'new') return;
      seen.set(notification.neighbour.mac?.toString() ?? '', performance.timeOrigin + performance.now());
    },
  });
  const answer = await fetch(`${url}/-/touch?node=node-${String(index).padStart(5, '0')}`, {
    method: 'POST',
  });
  const { vtepMac, at } = (await answer.json()) as { vtepMac: string; at: number };
  await until('the changed peer', () => seen.has(vtepMac), 5000);
  return (seen.get(vtepMac) ?? Number.NaN) - at;
}

must(['ip', 'link', 'set', 'lo', 'up']);
must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'world']);
must(['ip', 'link', 'set', 'world', 'up']);
must(['ip', 'link', 'set', 'eth0', 'up']);
must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
const rows = [
  [
    'peers',
    'ready ms',
    'routes',
    'CPU ms',
    'RSS MB',
    'anonymous MB',
    'peak RSS MB',
    'cgroup peak MiB',
    'received MB',
    'event ms (median / p95)',
  ],
];
for (const nodes of values.nodes.split(',').map(Number)) {
  const figures = await measure(nodes);
  const { median, p95 } = summarise(figures.eventMs);
  const numbers = [figures.cpuMs, figures.rssMb, figures.anonymousMb, figures.peakMb].map((value) =>
    value.toFixed(0),
  );
  rows.push([
    String(nodes - 1),
    figures.readyMs.toFixed(0),
    String(figures.routes),
    ...numbers,
    figures.cgroupPeakMb,
    figures.receivedMb.toFixed(1),
    `${ms(median)} / ${ms(p95)}`,
  ]);
}
console.log(`Agent, vxlan and nftables, under a memory cgroup of ${values.limit} MiB:\n`);
printTable(rows);
