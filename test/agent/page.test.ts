import { expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import type { Overview, PeerDetail, PeerList, ProbeView, RulesView } from '#page/model.ts';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { flannelctl } from '../support/flannelctl.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must, run } from '../support/netns.ts';
import { NodePod } from '../support/node-pods.ts';

const PORT = 8474;
const URL = `http://127.0.0.1:${PORT}`;
const PAGE = [`--ui-addr=127.0.0.1:${PORT}`];

async function world(config: string): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf: golden(`${config}/net-conf.json`) });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  made.addPeer('n2', N2);
  return made;
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(`${URL}${path}`);
  expect([path, answer.status]).toEqual([path, 200]);
  return (await answer.json()) as T;
}

const post = (path: string, headers: Record<string, string> = { origin: URL }) =>
  fetch(`${URL}${path}`, { method: 'POST', headers });

describeInNetns(import.meta.path, 'the page of an agent', () => {
  test('this node: devices with counters that move, pods, addresses, health', async () => {
    await using at = await world('vxlan-nftables');
    using _pod = NodePod.create(2, `${at.folder}/networks`);
    // The agent does not look into the pod's namespace: the node has to have heard of it.
    must(['ping', '-c', '1', '10.244.1.2']);
    await using _agent = await at.startReady(PAGE);
    expect(await (await fetch(URL)).text()).toContain('page.js');
    const first = await get<Overview>('/api/overview');
    expect(first).toMatchObject({
      schema: 1,
      health: { state: 'ready', reasons: [], store: { fromMemory: false } },
      node: {
        name: 'n1',
        backend: 'vxlan',
        subnets: ['10.244.1.0/24'],
        publicIps: ['192.168.50.11'],
        external: { name: 'eth0', mtu: 1500 },
        devices: [
          {
            name: 'flannel.1',
            up: true,
            vni: 1,
            port: 8472,
            addresses: expect.arrayContaining(['10.244.1.0/32']),
          },
        ],
        addresses: [{ subnet: '10.244.1.0/24', capacity: 253 }],
      },
      peers: { wanted: 1, programmed: 1, leftOut: 0 },
      rules: { mode: 'nftables', state: 'ok' },
      unread: [],
    });
    expect(first.pods).toMatchObject([
      { addresses: ['10.244.1.2'], veth: 'veth2', up: true, namespace: 'alive', network: 'cbr0' },
    ]);
    expect(first.pods[0]?.counters?.rxPackets).toBeGreaterThan(0);
    run(['ping', '-c', '3', '-i', '0.2', '-W', '1', '10.244.2.0']);
    await Bun.sleep(600);
    const second = await get<Overview>('/api/overview');
    const sent = (view: Overview) => view.node?.devices[0]?.counters?.txPackets ?? 0;
    expect(sent(second)).toBeGreaterThanOrEqual(sent(first) + 3);
    expect(second.now).toBeGreaterThan(first.now);
  });

  test('peers: once while nothing changes; entries as the kernel has them', async () => {
    await using at = await world('vxlan-nftables');
    at.addPeer('n4', { podCidrs: ['10.244.4.0/24'], publicIp: '192.168.50.14', backend: 'ipip' });
    await using agent = await at.startReady(PAGE);
    const answer = await fetch(`${URL}/api/peers`);
    const list = (await answer.json()) as PeerList;
    expect(list.peers).toEqual([
      {
        name: 'n2',
        subnets: ['10.244.2.0/24'],
        publicIps: ['192.168.50.12'],
        vtepMac: N2.mac,
        state: 'tunnel',
      },
      { name: 'n4', subnets: [], publicIps: [], state: 'left_out', why: expect.stringContaining('ipip') },
    ]);
    const headers = { 'if-none-match': answer.headers.get('etag') ?? '' };
    expect((await fetch(`${URL}/api/peers`, { headers })).status).toBe(304);
    expect((await get<Overview>('/api/overview')).peers?.revision).toBe(list.revision);
    at.addPeer('n5', { podCidrs: ['10.244.5.0/24'], publicIp: '192.168.50.15', mac: '02:00:00:00:05:05' });
    await eventually(async () => {
      expect((await fetch(`${URL}/api/peers`, { headers })).status).toBe(200);
    }, 3000);

    const detail = await get<PeerDetail>('/api/peers/n2');
    expect(detail.entries.map(({ text, state }) => `${state}: ${text}`).toSorted()).toEqual([
      'present: 10.244.2.0 dev flannel.1 lladdr ba:35:f7:c1:34:9a PERMANENT',
      'present: 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink',
      'present: ba:35:f7:c1:34:9a dev flannel.1 dst 192.168.50.12 self permanent',
    ]);
    expect((await fetch(`${URL}/api/peers/n1`)).status).toBe(404);
    expect((await fetch(`${URL}/api/peers/${encodeURIComponent('../n2')}`)).status).toBe(404);

    must(['ip', 'route', 'del', '10.244.2.0/24']);
    await eventually(async () => {
      const { repairs } = await get<Overview>('/api/overview');
      expect(repairs.at(-1)).toMatchObject({
        counts: { route: 1 },
        what: 'route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 missing',
      });
    }, 5000);
    await agent.stop('SIGTERM');
  });

  test('a probe says which of the two ways is silent, and is not sent for another site', async () => {
    await using at = await world('vxlan-nftables');
    await using _agent = await at.startReady(PAGE);
    // The other end of the wire answers as the peer; what is in the tunnel is lost there.
    must(['ip', 'addr', 'add', '192.168.50.12/32', 'dev', 'lo']);
    try {
      expect((await post('/api/peers/n2/probe', {})).status).toBe(403);
      expect((await post('/api/peers/n2/probe', { origin: 'http://evil.example' })).status).toBe(403);
      const answer = await post('/api/peers/n2/probe');
      const { results } = (await answer.json()) as ProbeView;
      expect(results).toMatchObject([
        { over: 'overlay', from: '10.244.1.0', to: '10.244.2.0', why: expect.stringContaining('1 s') },
        { over: 'underlay', to: '192.168.50.12', ms: expect.any(Number) },
      ]);
      expect((await post('/api/peers/nobody/probe')).status).toBe(404);
    } finally {
      must(['ip', 'addr', 'del', '192.168.50.12/32', 'dev', 'lo']);
    }
  });

  for (const mode of ['nftables', 'iptables'] as const) {
    test(`rules in order, as ${mode} itself prints them, and what is otherwise`, async () => {
      await using at = await world(mode === 'nftables' ? 'vxlan-nftables' : 'vxlan-iptables');
      await using _agent = await at.startReady([...PAGE, '--iptables-resync=3600']);
      const rules = await get<RulesView>('/api/rules');
      expect([rules.mode, rules.differences]).toEqual([mode, []]);
      const [ipv4] = rules.families;
      expect(ipv4?.chains.map(({ name }) => name)).toEqual(['postrouting', 'forward']);
      const lines = ipv4?.chains.flatMap((chain) => chain.rules.map(({ text }) => text)) ?? [];
      expect(lines.length).toBeGreaterThan(6);
      expect(lines).toEqual(mode === 'nftables' ? nftLines() : iptablesLines());
      for (const chain of ipv4?.chains ?? [])
        for (const rule of chain.rules) expect(rule.why.length).toBeGreaterThan(10);
    });
  }

  test('names of elsewhere are refused; a port in use costs nothing but the page, until it is free', async () => {
    await using at = await world('vxlan-nftables');
    const holder = Bun.listen({ hostname: '127.0.0.1', port: PORT, socket: { data: () => {} } });
    await using agent = await at.startReady(PAGE);
    expect(agent.log).toContain('there is no page; trying again');
    expect(agent.log).toContain(`cannot listen on ${URL}/`);
    holder.stop(true);
    await eventually(async () => {
      expect((await fetch(URL)).status).toBe(200);
    }, 15_000);
    const rebound = await fetch(`${URL}/api/overview`, { headers: { host: `evil.example:${PORT}` } });
    expect(rebound.status).toBe(421);
    expect(agent.log.match(/there is no page/g)).toHaveLength(1);
  });

  test('an address that others reach is told to the log; without the flag there is nothing', async () => {
    await using at = await world('vxlan-nftables');
    {
      await using agent = await at.startReady([`--ui-addr=192.168.50.11:${PORT}`]);
      expect(agent.log).toContain('open to everybody who reaches this address');
      expect((await fetch(`http://192.168.50.11:${PORT}/api/overview`)).status).toBe(200);
      await agent.stop('SIGTERM');
    }
    await using _quiet = await at.startReady();
    expect(await fetch(URL).catch(() => 'nobody')).toBe('nobody');
  });
});

describeInNetns(import.meta.path, 'flannelctl page', () => {
  test('beside an agent without the flag, and without any agent: what is missing is seen', async () => {
    await using at = await world('vxlan-nftables');
    using _pod = NodePod.create(2, `${at.folder}/networks`);
    await using agent = await at.startReady([], { env: { TEST_SAVE_MS: '100' } });
    await eventually(() => expect(readdirSync(`${at.folder}/run`)).toContain('last-known'), 5000);
    await using _page = await startPage(at);
    const overview = await get<Overview>('/api/overview');
    expect(overview).toMatchObject({
      health: { state: 'ready' },
      node: { name: 'n1', devices: [{ name: 'flannel.1', up: true }] },
      peers: { wanted: 1, programmed: 1 },
      // It looks into the pod's namespace.
      pods: [{ addresses: ['10.244.1.2'], veth: 'veth2', namespace: 'alive' }],
      unread: [],
    });
    const rules = await get<RulesView>('/api/rules');
    expect(rules.differences).toEqual([]);
    await agent.stop('SIGKILL');
    must(['ip', 'route', 'del', '10.244.2.0/24']);
    must(['bridge', 'fdb', 'del', N2.mac, 'dev', 'flannel.1']);
    must(['ip', 'neigh', 'replace', '10.244.2.0', 'lladdr', '02:00:00:00:02:02', 'dev', 'flannel.1']);
    await eventually(async () => {
      const { entries } = await get<PeerDetail>('/api/peers/n2');
      expect(entries.map(({ type, state, found }) => [type, state, found])).toEqual([
        ['neighbour', 'other', '10.244.2.0 dev flannel.1 lladdr 02:00:00:00:02:02 PERMANENT'],
        ['fdb', 'missing', undefined],
        ['route', 'missing', 'packets for it go by default via 192.168.50.1 dev eth0'],
      ]);
    }, 5000);
    await eventually(async () => {
      const { health } = await get<Overview>('/api/overview');
      expect(health).toMatchObject({ state: 'failing', reasons: [expect.stringContaining('no agent runs')] });
    }, 3000);
  });

  test('an address that is none, or taken, is said in one line', async () => {
    const bad = await flannelctl(['page', '--addr', 'nonsense']);
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining('--addr: "nonsense"')]);
    using holder = Bun.listen({ hostname: '127.0.0.1', port: PORT, socket: { data: () => {} } });
    const taken = await flannelctl(['page']);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining(`cannot listen on ${URL}/`)]);
    holder.stop(true);
    expect((await flannelctl(['page', '--help'])).stdout).toContain('usage: flannelctl page');
  });
});

/** `flannelctl page` on this world's files; ends with the scope. */
async function startPage(at: AgentWorld): Promise<AsyncDisposable> {
  const files = ['--run-dir', `${at.folder}/run`, '--ipam-dir', `${at.folder}/networks`];
  const end = new AbortController();
  const done = flannelctl(['page', '--net-config-path', at.netConfFile, ...files], { signal: end.signal });
  await eventually(async () => expect((await fetch(URL)).status).toBe(200), 5000);
  return {
    async [Symbol.asyncDispose]() {
      end.abort();
      expect(await done).toMatchObject({ code: 0, stdout: `the page of this node: ${URL}/\n`, stderr: '' });
    },
  };
}

function nftLines(): string[] {
  return must(['nft', 'list', 'table', 'ip', 'flannel-ipv4'])
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /(return|accept|masquerade|fully-random|random)$/.test(line) && !line.includes('hook'));
}

function iptablesLines(): string[] {
  return must(['iptables-save'])
    .split('\n')
    .filter((line) => line.startsWith('-A FLANNEL-'))
    .toSorted((a, b) => Number(b.includes('POSTRTG')) - Number(a.includes('POSTRTG')));
}
