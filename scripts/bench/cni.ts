// CNI plugins side by side: ours (dist/bin) and Debian's (/usr/lib/cni), interleaved in one run, each on a bridge and a
// store of its own, in a network and mount namespace that goes with the process.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { ms, must, printTable, summarise } from './report.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 40);
const root = new URL('../..', import.meta.url).pathname;
const work = mkdtempSync('/tmp/flannel-bench-');

interface Contestant {
  readonly name: string;
  readonly dir: string;
  readonly plugin: string;
  readonly config: Record<string, unknown>;
}

function bridgeConfig(name: string, octet: number): Record<string, unknown> {
  return {
    cniVersion: '1.0.0',
    name,
    type: 'bridge',
    bridge: `br-${name}`,
    mtu: 1450,
    isDefaultGateway: true,
    hairpinMode: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: `10.${octet}.0.0/16` }]], dataDir: `${work}/${name}` },
  };
}

function contestants(): Contestant[] {
  const env = `${work}/subnet.env`;
  writeFileSync(
    env,
    'FLANNEL_NETWORK=10.44.0.0/16\nFLANNEL_SUBNET=10.44.0.1/16\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  );
  const ipam = { type: 'host-local', dataDir: `${work}/flannel` };
  const delegate = { bridge: 'br-flannel', hairpinMode: true, isDefaultGateway: true };
  return [
    {
      name: 'reference bridge + host-local',
      dir: '/usr/lib/cni',
      plugin: 'bridge',
      config: bridgeConfig('theirs', 42),
    },
    {
      name: 'bridge + host-local',
      dir: `${root}dist/bin`,
      plugin: 'bridge',
      config: bridgeConfig('ours', 43),
    },
    {
      name: 'flannel (-> bridge + host-local)',
      dir: `${root}dist/bin`,
      plugin: 'flannel',
      config: {
        cniVersion: '1.0.0',
        name: 'cbr0',
        type: 'flannel',
        subnetFile: env,
        dataDir: `${work}/scratch`,
        delegate,
        ipam,
      },
    },
  ];
}

/** One call as a container runtime makes it; returns ms. */
function call(who: Contestant, verb: 'ADD' | 'DEL', pod: string): number {
  const start = performance.now();
  const done = Bun.spawnSync([`${who.dir}/${who.plugin}`], {
    stdin: new TextEncoder().encode(JSON.stringify(who.config)),
    stdout: 'pipe',
    stderr: 'pipe',
    env: {
      PATH: process.env['PATH'] ?? '',
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `${pod}-${who.plugin}`,
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: who.dir,
    },
  });
  const took = performance.now() - start;
  if (done.exitCode !== 0)
    throw new Error(`${who.name} ${verb}: ${done.stdout.toString()}${done.stderr.toString()}`);
  return took;
}

function measure(): void {
  const all = contestants();
  const samples = new Map(all.map((who) => [who, { ADD: [] as number[], DEL: [] as number[] }]));
  for (let round = -3; round < ROUNDS; round += 1) {
    for (const who of all) {
      const pod = `pod${round + 3}`;
      must(['ip', 'netns', 'add', pod]);
      for (const verb of ['ADD', 'DEL'] as const) {
        const took = call(who, verb, pod);
        // The first rounds warm the file cache and make the bridges.
        if (round >= 0) samples.get(who)?.[verb].push(took);
      }
      must(['ip', 'netns', 'del', pod]);
    }
  }
  const [reference] = all;
  const rows = [['ms, min / median', 'ADD', 'ratio', 'DEL', 'ratio']];
  for (const who of all) {
    const row = [who.name];
    for (const verb of ['ADD', 'DEL'] as const) {
      const { min, median } = summarise(samples.get(who)?.[verb] ?? []);
      const base =
        reference === undefined ? Number.NaN : summarise(samples.get(reference)?.[verb] ?? []).median;
      row.push(`${ms(min)} / ${ms(median)}`, (median / base).toFixed(2));
    }
    rows.push(row);
  }
  console.log(`CNI, ${ROUNDS} rounds, one pod at a time; ratio of medians to the reference:\n`);
  printTable(rows);
}

try {
  must(['mount', '--make-rprivate', '/']);
  mkdirSync('/run/netns', { recursive: true });
  must(['mount', '-t', 'tmpfs', 'tmpfs', '/run/netns']);
  must(['ip', 'link', 'set', 'lo', 'up']);
  measure();
} finally {
  rmSync(work, { recursive: true, force: true });
}
