import { expect, test } from 'bun:test';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { parseMetrics, type MetricsPage } from '#daemon/metrics/fixtures.ts';
import { NotifySocket } from '#daemon/notify-socket.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import { AgentWorld, N2, PREFIX, peerAnnotations, readyz } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');
const URL = 'http://127.0.0.1:10256';

async function world(): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf: NFT, api: { bookmarkIntervalMs: 300 } });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  made.addPeer('n2', N2);
  return made;
}

async function scrape(): Promise<MetricsPage> {
  const response = await fetch(`${URL}/metrics`);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return parseMetrics(await response.text());
}

/** The value of a sample, 0 when there is none. */
async function value(sample: string): Promise<number> {
  return (await scrape()).samples.get(sample) ?? 0;
}

function status(at: AgentWorld): Record<string, unknown> {
  return JSON.parse(readFileSync(`${at.folder}/run/status.json`, 'utf8')) as Record<string, unknown>;
}

interface Damage {
  readonly kind: string;
  readonly damage: (at: AgentWorld) => void;
  /** The log says so. */
  readonly line: string;
}

const ip =
  (...words: readonly string[]) =>
  () =>
    void must(['ip', ...words]);

const DAMAGES: readonly Damage[] = [
  { kind: 'route', damage: ip('route', 'del', '10.244.2.0/24'), line: 'route 10.244.2.0/24' },
  {
    kind: 'neighbour',
    damage: ip('neigh', 'del', '10.244.2.0', 'dev', 'flannel.1'),
    line: 'neighbour 10.244.2.0',
  },
  {
    kind: 'fdb',
    damage: () => void must(['bridge', 'fdb', 'del', N2.mac, 'dst', N2.publicIp, 'dev', 'flannel.1', 'self']),
    line: `fdb ${N2.mac}`,
  },
  {
    kind: 'mac',
    damage: ip('link', 'set', 'flannel.1', 'address', '02:00:00:00:00:99'),
    line: 'has MAC 02:00',
  },
  { kind: 'link', damage: ip('link', 'set', 'flannel.1', 'mtu', '1300'), line: 'has MTU 1300' },
  {
    kind: 'address',
    damage: ip('addr', 'del', '10.244.1.0/32', 'dev', 'flannel.1'),
    line: 'address 10.244.1.0/32 missing',
  },
  {
    kind: 'blackhole',
    damage: ip('route', 'del', 'blackhole', '10.244.1.0/24', 'metric', '65535'),
    line: 'blackhole route 10.244.1.0/24 missing',
  },
  {
    kind: 'rules',
    damage: () => void must(['nft', 'delete', 'table', 'ip', 'flannel-ipv4']),
    line: 'traffic rules were changed by somebody else',
  },
  {
    kind: 'subnet_file',
    damage: (at) => rmSync(at.subnetFile),
    line: 'the subnet file was removed or changed',
  },
  {
    kind: 'sysctl',
    damage: () => writeFileSync('/proc/sys/net/ipv4/ip_forward', '0'),
    line: 'a kernel setting was changed by somebody else',
  },
  {
    kind: 'lease',
    damage: (at) => at.annotate('n1', { [`${PREFIX}/public-ip`]: '192.0.2.1' }),
    line: 'somebody changed the annotations',
  },
];

describeInNetns(import.meta.path, 'metrics and status', () => {
  test('every repair is counted by its kind and logged once', async () => {
    await using at = await world();
    await using agent = await at.startReady(['--ip-blackhole-route']);
    // The first look with notifications on is over.
    await eventually(async () => expect(await value('flannel_reconciles_total{result="unchanged"}')).toBe(1));
    for (const { kind, damage, line } of DAMAGES) {
      const sample = `flannel_repairs_total{kind="${kind}"}`;
      expect([kind, await value(sample)]).toEqual([kind, 0]);
      damage(at);
      await eventually(async () => expect([kind, await value(sample)]).toEqual([kind, await repaired(kind)]));
      expect([kind, agent.count(line)]).toEqual([kind, 1]);
      const repairs = status(at)['repairs'] as { counts: Record<string, number>; what: string }[];
      expect(repairs.length).toBeLessThanOrEqual(20);
    }
    await eventually(() => {
      const repairs = status(at)['repairs'] as {
        at: string;
        counts: Record<string, number>;
        what: string;
      }[];
      const kinds = new Set(repairs.flatMap(({ counts }) => Object.keys(counts)));
      for (const { kind } of DAMAGES) expect(kinds).toContain(kind);
      for (const { at: when } of repairs) expect(Date.now() - Date.parse(when)).toBeLessThan(60_000);
    });
    expect(agent.count('ERROR')).toBe(0);
  });

  /** Each damage costs one object of its kind; without the table several rules are missing. */
  async function repaired(kind: string): Promise<number> {
    return kind === 'rules' ? Math.max(1, await value('flannel_repairs_total{kind="rules"}')) : 1;
  }

  test('the peers add up, whatever is wrong with some', async () => {
    await using at = await world();
    at.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' });
    at.addPeer('n4', { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.14', mac: '02:00:00:00:04:04' });
    at.addPeer('n5', { podCidrs: ['10.99.5.0/24'], publicIp: '192.168.50.15', mac: '02:00:00:00:05:05' });
    at.addPeer('n6', { podCidrs: ['10.244.6.0/24'], publicIp: '192.168.50.11', mac: '02:00:00:00:06:06' });
    const wireguard = { ...peerAnnotations(N2), [`${PREFIX}/backend-type`]: 'wireguard' };
    at.addNode('n7', { podCidrs: ['10.244.7.0/24'], annotations: wireguard });
    await using _agent = await at.startReady();
    const { samples } = await scrape();
    expect(Object.fromEntries(samples)).toMatchObject({
      flannel_ready: 1,
      flannel_from_memory: 0,
      flannel_peers_wanted: 6,
      flannel_peers_programmed: 2,
      flannel_leases: 6,
      'flannel_peers_left_out{reason="conflict"}': 1,
      'flannel_peers_left_out{reason="pod_cidr"}': 1,
      'flannel_peers_left_out{reason="address"}': 1,
      'flannel_peers_left_out{reason="backend"}': 1,
      'flannel_kernel_entries{kind="link"}': 1,
      'flannel_kernel_entries{kind="route"}': 2,
      'flannel_subnet_addresses{family="ipv4"}': 253,
      flannel_lease_publishes_total: 1,
      flannel_lists_total: 1,
      'flannel_api_requests_total{verb="list",code="200"}': 1,
    });
    expect(status(at)['peers']).toMatchObject({ wanted: 6, programmed: 2, leftOut: 4 });
    at.api.nodes.delete('n3');
    await eventually(async () => {
      const after = (await scrape()).samples;
      expect(after.get('flannel_peers_left_out{reason="conflict"}')).toBeUndefined();
      expect([after.get('flannel_peers_wanted'), after.get('flannel_peers_programmed')]).toEqual([5, 2]);
    });
  });

  test('addresses in use are seen where host-local keeps them', async () => {
    await using at = await world();
    const dir = `${at.folder}/networks`;
    await using _agent = await at.startReady([`--ipam-dir=${dir}`]);
    expect((await scrape()).samples.has('flannel_subnet_addresses_used{family="ipv4"}')).toBe(false);
    mkdirSync(`${dir}/cbr0`, { recursive: true });
    for (const last of [2, 3, 4]) writeFileSync(`${dir}/cbr0/10.244.1.${last}`, 'x\r\neth0');
    expect(await value('flannel_subnet_addresses_used{family="ipv4"}')).toBe(3);
  });

  test('the status file says what the node is, and is written only for news', async () => {
    await using at = await world();
    await using agent = await at.startReady();
    await eventually(() => expect(status(at)['lastPass']).toMatchObject({ found: 0, errors: 0 }));
    expect(status(at)).toMatchObject({
      schema: 1,
      ready: true,
      reason: 'ready',
      pid: agent.pid,
      node: 'n1',
      lease: {
        backend: 'vxlan',
        subnets: { ipv4: '10.244.1.0/24' },
        publicIps: { ipv4: '192.168.50.11' },
      },
      external: { name: 'eth0', mtu: 1500 },
      mtu: 1450,
      rules: { mode: 'nftables', state: 'ok' },
      peers: { wanted: 1, programmed: 1, leftOut: 0, reasons: {}, conflicts: 0 },
      repairs: [],
    });
    const page = readFileSync(`${import.meta.dir}/../../docs/status.md`, 'utf8');
    for (const field of Object.keys(status(at))) expect(page).toContain(`\n| \`${field}\` |`);
    await Bun.sleep(1500);
    // Bookmarks come all the time: the store being heard of is no news.
    const before = statSync(`${at.folder}/run/status.json`).ino;
    await Bun.sleep(3000);
    expect(statSync(`${at.folder}/run/status.json`).ino).toBe(before);
    at.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' });
    await eventually(() => expect(status(at)['peers']).toMatchObject({ wanted: 2, programmed: 2 }));
  });

  test('a device that is gone and cannot come back is told by readyz; healthz stays', async () => {
    await using at = await world();
    await using _agent = await at.startReady();
    must(['ip', 'link', 'delete', 'eth0']);
    await eventually(async () => expect((await readyz()).status).toBe(503));
    expect((await fetch(`${URL}/healthz`)).status).toBe(200);
    expect((await scrape()).samples.get('flannel_ready')).toBe(0);
    expect(status(at)['ready']).toBe(false);
  });
});

describeInNetns(import.meta.path, 'systemd', () => {
  const env = (socket: NotifySocket) => ({
    NOTIFY_SOCKET: socket.path,
    WATCHDOG_USEC: '400000',
  });

  async function heard(socket: NotifySocket, text: string, agent: AgentProcess): Promise<string[]> {
    const all: string[] = [];
    await eventually(() => {
      all.push(...socket.received());
      if (!all.includes(text)) throw new Error(`${all.join(', ')}\n${agent.log}`);
    });
    return all;
  }

  test('waiting is told and extended, ready is told once, the watchdog is fed, stopping is told', async () => {
    await using at = await world();
    using socket = new NotifySocket(`${at.folder}/notify`);
    await at.api.faults.refuse();
    await using agent = at.start([], { env: env(socket) });
    const waiting = await heard(socket, 'WATCHDOG=1', agent);
    expect(waiting[0]).toBe('EXTEND_TIMEOUT_USEC=60000000');
    expect(waiting).not.toContain('READY=1');
    await eventually(() => {
      waiting.push(...socket.received());
      expect(waiting.join('\n')).toMatch(/^STATUS=.*connection refused/m);
    });
    await at.api.faults.listen();
    expect(await heard(socket, 'READY=1', agent)).toContain('STATUS=ready, 1 peers');
    await Bun.sleep(1000);
    const fed = socket.received();
    expect(fed.filter((text) => text === 'WATCHDOG=1').length).toBeGreaterThanOrEqual(3);
    expect(fed).not.toContain('READY=1');
    expect((await agent.stop('SIGTERM')).code).toBe(0);
    expect(socket.received()).toContain('STOPPING=1');
  });

  test('a process that does not run does not feed the watchdog', async () => {
    await using at = await world();
    using socket = new NotifySocket(`${at.folder}/notify`);
    await using agent = await at.startReady([], { env: env(socket) });
    await heard(socket, 'WATCHDOG=1', agent);
    process.kill(agent.pid, 'SIGSTOP');
    await Bun.sleep(100);
    socket.received();
    await Bun.sleep(800);
    expect(socket.received()).toEqual([]);
    process.kill(agent.pid, 'SIGCONT');
    await heard(socket, 'WATCHDOG=1', agent);
  });
});
