import { expect, test } from 'bun:test';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AgentProcess } from '../support/agent-process.ts';
import { AgentWorld, N2, prefixed, readyz, type PeerSpec } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { KernelReports } from '../support/kernel-reports.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');
const DUAL = golden('vxlan-dual-nftables/net-conf.json');
const N3: PeerSpec = { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' };
const DUAL_N2: PeerSpec = {
  ...N2,
  podCidrs: ['10.244.2.0/24', '2001:cafe:42:2::/64'],
  publicIp6: 'fd50::12',
  mac6: '96:1a:97:82:a2:9e',
};
const env = { TEST_PATIENCE_MS: '300', TEST_SAVE_MS: '200' };
const FROM_MEMORY = 'running from the last known state; API server: ';

async function worldWithPeer(): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: NFT });
  world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  world.addPeer('n2', N2);
  return world;
}

const record = (world: AgentWorld) => `${world.folder}/run/last-known`;
const routes = () => overlayState(['flannel.1'])['route'] ?? '';
const TO_N2 = '10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink';
const TO_N3 = '10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink';

/** Runs an agent until it has written its record, and ends it. */
async function remember(
  world: AgentWorld,
  extra: readonly string[] = [],
  file = record(world),
): Promise<void> {
  await using agent = await world.startReady(extra, { env });
  await eventually(() => expect(existsSync(file)).toBe(true));
  await agent.stop('SIGKILL');
}

async function servesFromMemory(agent: AgentProcess): Promise<void> {
  await eventually(async () => {
    expect(agent.running).toBe(true);
    const { status, text } = await readyz();
    expect(text).toStartWith(FROM_MEMORY);
    expect(status).toBe(503);
  });
}

/** What a reboot does to a node. */
function reboot(world: AgentWorld): void {
  must(['ip', 'link', 'delete', 'flannel.1']);
  must(['nft', 'flush', 'ruleset']);
  rmSync(`${world.folder}/run`, { recursive: true });
}

describeInNetns(import.meta.path, 'a start with the API server away', () => {
  test('the last known state is gone on with; then the API answers, and only what differs changes', async () => {
    await using world = await worldWithPeer();
    world.addPeer('n3', N3);
    await remember(world);
    expect(statSync(record(world)).mode & 0o777).toBe(0o600);
    // Duplicate address detection and its notifications are over.
    await eventually(() => {
      const addresses = must(['ip', '-6', 'addr', 'show', 'dev', 'flannel.1']);
      expect(addresses).toContain('fe80::');
      expect(addresses).not.toContain('tentative');
    });
    const sound = overlayState(['flannel.1']);
    const env0 = world.subnetEnv();
    const annotations = world.api.nodes.get('n1')?.metadata.annotations;
    rmSync(world.subnetFile);
    await world.api.faults.refuse();
    await using reports = new KernelReports();
    await reports.working();
    const seen = reports.lines().length;
    await using agent = world.start([], { env });
    await servesFromMemory(agent);
    expect((await readyz()).text).toContain('connection refused');
    expect(world.subnetEnv()).toBe(env0);
    expect(overlayState(['flannel.1'])).toEqual(sound);
    const goesOn = 'the API server does not answer; going on with the last known state';
    await eventually(() => expect(agent.count(goesOn)).toBe(1));
    expect(JSON.parse(readFileSync(`${world.folder}/run/status.json`, 'utf8'))).toMatchObject({
      ready: false,
      serving: true,
    });
    // What somebody breaks is repaired, too.
    must(['ip', 'route', 'delete', '10.244.2.0/24', 'dev', 'flannel.1']);
    await eventually(() => expect(routes()).toBe(`${TO_N2}\n${TO_N3}`));
    // The report of the repair comes through another process, and may come after it.
    await eventually(() => expect(reports.lines().at(-1)).toContain(TO_N2));
    const later = reports.lines().length;
    await world.api.faults.listen();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(overlayState(['flannel.1'])).toEqual(sound);
    expect(world.api.nodes.get('n1')?.metadata.annotations).toEqual(annotations);
    expect(reports.lines().slice(later)).toEqual([]);
    expect(
      reports
        .lines()
        .slice(seen, later)
        .every((line) => line.includes('10.244.2.0')),
    ).toBe(true);
    const same = 'the last known state is compared with it added=0 changed=0 removed=0';
    await eventually(() => expect(agent.log).toContain(same));
    expect(agent.count('ERROR')).toBe(0);
    expect(agent.count('starting over')).toBe(0);
    expect(JSON.stringify(world.api.nodes.get('n1')?.status)).toContain('FlannelIsUp');
  });

  test('peers that came, went and changed meanwhile', async () => {
    await using world = await worldWithPeer();
    await remember(world);
    await world.api.faults.refuse();
    world.api.nodes.delete('n2');
    world.addPeer('n3', N3);
    await using agent = world.start([], { env });
    await servesFromMemory(agent);
    expect(routes()).toBe(TO_N2);
    await world.api.faults.listen();
    await eventually(() => expect(routes()).toBe(TO_N3));
    await eventually(async () => expect((await readyz()).status).toBe(200));
    await eventually(() => expect(agent.log).toContain('added=1 changed=0 removed=1'));
    // The record follows.
    await eventually(() => expect(readFileSync(record(world), 'utf8')).toContain('"name":"n3"'));
    expect(readFileSync(record(world), 'utf8')).not.toContain('"name":"n2"');
  });

  test('after a reboot, with the state on disk: the same MAC, subnet and peers', async () => {
    await using world = await worldWithPeer();
    const disk = [`--state-dir=${world.folder}/disk`];
    await remember(world, disk, `${world.folder}/disk/last-known`);
    const sound = overlayState(['flannel.1']);
    const data = world.annotation('n1', 'backend-data');
    reboot(world);
    await world.api.faults.refuse();
    await using agent = world.start(disk, { env });
    await servesFromMemory(agent);
    expect(overlayState(['flannel.1'])).toEqual(sound);
    expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.1.1/24');
    await world.api.faults.listen();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(world.annotation('n1', 'backend-data')).toBe(data);
    expect(overlayState(['flannel.1'])).toEqual(sound);
  });

  test('both families', async () => {
    await using world = await AgentWorld.create({ netConf: DUAL });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    world.addPeer('n2', DUAL_N2);
    await remember(world);
    const devices = ['flannel.1', 'flannel-v6.1'];
    for (const device of devices) must(['ip', 'link', 'delete', device]);
    await world.api.faults.refuse();
    await using agent = world.start([], { env });
    await servesFromMemory(agent);
    const state = overlayState(devices);
    expect(state['route']).toContain(TO_N2);
    expect(state['neigh-flannel-v6.1']).toContain('96:1a:97:82:a2:9e');
    await world.api.faults.listen();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(overlayState(devices)).toEqual(state);
  });

  test('the name of the node comes from the record when only the API could tell it', async () => {
    await using world = await worldWithPeer();
    world.api.namespaces.create({ metadata: { name: 'kube-flannel' } });
    world.api.pods.create({ metadata: { name: 'x', namespace: 'kube-flannel' }, spec: { nodeName: 'n1' } });
    await remember(world);
    await world.api.faults.refuse();
    const pod = { ...env, NODE_NAME: '', POD_NAME: 'x', POD_NAMESPACE: 'kube-flannel' };
    await using agent = world.start([], { env: pod });
    await servesFromMemory(agent);
    expect(routes()).toBe(TO_N2);
    await world.api.faults.listen();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(agent.count('starting over')).toBe(0);
  });

  test('this node has another subnet by now: it starts over as soon as the API says so', async () => {
    await using world = await worldWithPeer();
    await remember(world);
    await world.api.faults.refuse();
    world.api.nodes.delete('n1');
    world.addNode('n1', { podCidrs: ['10.244.8.0/24'] });
    await using agent = world.start([], { env });
    await servesFromMemory(agent);
    expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.1.1/24');
    await world.api.faults.listen();
    await eventually(() => expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.8.1/24'));
    await eventually(async () => expect((await readyz()).status).toBe(200));
    await eventually(() => expect(agent.count('starting over')).toBe(1));
  });

  test('the API says that this node is none: the record does not contradict it', async () => {
    await using world = await worldWithPeer();
    await remember(world);
    rmSync(world.subnetFile);
    world.api.nodes.delete('n1');
    await using _agent = world.start([], { env });
    await eventually(async () =>
      expect((await readyz()).text).toContain('waiting for the Node object of this node'),
    );
    expect(existsSync(world.subnetFile)).toBe(false);
  });

  for (const [what, code] of [
    ['401 Unauthorized', 401],
    ['403 Forbidden', 403],
    ['503 Service Unavailable', 503],
  ] as const) {
    test(`an API server that says ${what} is away, too, and that is said`, async () => {
      await using world = await worldWithPeer();
      await remember(world);
      world.api.faults.answer({ code, times: 1000 });
      await using agent = world.start([], { env });
      await servesFromMemory(agent);
      expect((await readyz()).text).toContain(what);
      world.api.faults.clear();
      await eventually(async () => expect((await readyz()).status).toBe(200));
    });
  }

  test('publishing is refused, or the list never comes: peers work all the same', async () => {
    await using world = await worldWithPeer();
    await remember(world);
    world.api.faults.forbid({ verb: 'list', resource: 'nodes' });
    world.annotate('n1', prefixed({ 'public-ip': '192.0.2.1' }));
    world.api.faults.forbid({ verb: 'patch', resource: 'nodes/status' });
    await using agent = world.start([], { env });
    await servesFromMemory(agent);
    expect((await readyz()).text).toContain('403 Forbidden');
    expect(routes()).toBe(TO_N2);
    world.api.faults.clear();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(world.annotation('n1', 'public-ip')).toBe('192.168.50.11');
  });

  test('a record that is of another node, damaged, or somebody else’s: one warning, and waiting', async () => {
    await using world = await worldWithPeer();
    await remember(world);
    const sound = readFileSync(record(world), 'utf8');
    rmSync(world.subnetFile);
    await world.api.faults.refuse();
    const damaged: readonly (readonly [string, () => void, Record<string, string>])[] = [
      ['it is of the node n1, and this is n7', () => {}, { NODE_NAME: 'n7' }],
      ['it breaks off', () => writeFileSync(record(world), sound.slice(0, sound.indexOf('{"peers"'))), {}],
      ['it is damaged', () => writeFileSync(record(world), sound.replace('50.12', '50.99')), {}],
      ['its owner or mode', () => must(['chmod', '666', record(world)]), {}],
    ];
    for (const [words, damage, more] of damaged) {
      writeFileSync(record(world), sound, { mode: 0o600 });
      damage();
      await using agent = world.start([], { env: { ...env, ...more } });
      await eventually(() => expect(agent.log).toContain('the last known state cannot be used'));
      await eventually(() => expect(agent.log).toContain(words));
      await Bun.sleep(500);
      await eventually(() => expect(agent.count('the last known state cannot be used')).toBe(1));
      expect(existsSync(world.subnetFile)).toBe(false);
      expect(agent.running).toBe(true);
    }
  });
});
