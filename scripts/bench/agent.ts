// The agent against an API server program with many realistic Nodes (about 18 KB of JSON each), in a network namespace that
// goes with the process, under a memory limit: start, one change, storms, heartbeats, and all Nodes joining at once.
import { copyFileSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { FatCluster } from './agent/fat-cluster.ts';
import { MemoryLimit } from './agent/memory-limit.ts';
import { changing, heartbeats, idlePasses, joining, starting, storm, type Figures } from './agent/phases.ts';
import { pageCosts } from './agent/page.ts';
import { Subject } from './agent/subject.ts';
import { must, printTable } from './report.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000,5000' },
    limit: { type: 'string', default: '50' },
    events: { type: 'string', default: '20' },
    /** Minutes of heartbeats. */
    heartbeats: { type: 'string', default: '1' },
    /** Only the start, so often. */
    starts: { type: 'string', default: '0' },
    /** Only what the page costs, over so many seconds each. */
    page: { type: 'string', default: '0' },
    /** The executable to measure, to compare builds. */
    program: {
      type: 'string',
      default: `${new URL('../..', import.meta.url).pathname}dist/bin/flanneld`,
    },
    /** With the executable not in the page cache. */
    cold: { type: 'boolean', default: false },
  },
});

const COPY = `${new URL('../..', import.meta.url).pathname}dist/flanneld-cold`;

/** The executable, its pages in memory; or a copy that no page of is (dd asks for that by posix_fadvise). */
function program(): string {
  if (!values.cold) {
    must(['dd', `if=${values.program}`, 'of=/dev/null', 'bs=1M', 'status=none']);
    return values.program;
  }
  copyFileSync(values.program, COPY);
  must(['dd', `of=${COPY}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none']);
  return COPY;
}

async function measure(nodes: number): Promise<Figures[]> {
  const limit = () => new MemoryLimit(Number(values.limit));
  const starts = Number(values.starts);
  const figures: Figures[] = [];
  {
    await using cluster = await FatCluster.start(nodes);
    for (let round = 0; round < Math.max(1, starts); round += 1) {
      using memory = limit();
      const before = await cluster.bytesSent();
      await using subject = new Subject({ cluster, limit: memory, program: program() });
      const start = await starting(subject, { cluster, limit: memory, before });
      figures.push(start);
      if (starts > 0) continue;
      await Bun.sleep(1500);
      const rest = [
        await changing(cluster, Number(values.events)),
        await storm(subject, cluster),
        await heartbeats(subject, cluster, Number(values.heartbeats)),
        idlePasses(subject),
      ];
      figures[0] = Object.assign({}, start, ...rest) as Figures;
    }
  }
  if (starts > 0) return figures;
  await using alone = await FatCluster.start(1);
  using memory = limit();
  return [
    { ...figures[0], ...(await joining({ cluster: alone, limit: memory, program: program() }, nodes)) },
  ];
}

/** A column for each use of the page. */
async function measurePage(nodes: number): Promise<typeof columns> {
  await using cluster = await FatCluster.start(nodes);
  const limit = () => new MemoryLimit(Number(values.limit));
  const costs = await pageCosts(cluster, { limit, program: program(), seconds: Number(values.page) });
  return Object.entries(costs).map(([use, figures]) => ({ head: `${nodes - 1}, ${use}`, figures }));
}

must(['ip', 'link', 'set', 'lo', 'up']);
must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'world']);
must(['ip', 'link', 'set', 'world', 'up']);
must(['ip', 'link', 'set', 'eth0', 'up']);
must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
const columns: { readonly head: string; readonly figures: Figures }[] = [];
try {
  for (const nodes of values.nodes.split(',').map(Number))
    if (values.page !== '0') columns.push(...(await measurePage(nodes)));
    else for (const figures of await measure(nodes)) columns.push({ head: String(nodes - 1), figures });
} finally {
  rmSync(COPY, { force: true });
}
const names = [...new Set(columns.flatMap(({ figures }) => Object.keys(figures)))];
console.log(`Agent, vxlan and nftables, under a memory cgroup of ${values.limit} MiB:\n`);
printTable([
  ['peers', ...columns.map(({ head }) => head)],
  ...names.map((name) => [name, ...columns.map(({ figures }) => figures[name] ?? '-')]),
]);
