import { expect, test } from 'bun:test';
import type { CutStyle } from '#lab/api/faults.ts';
import { AgentWorld, N2, peerAnnotations, PREFIX, readyz } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');
const N3 = { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' };

async function worldWithPeer(): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: NFT, api: { bookmarkIntervalMs: 200 } });
  world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  world.addPeer('n2', N2);
  return world;
}

const routes = () => overlayState(['flannel.1'])['route'] ?? '';
const TO_N2 = '10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink';
const TO_N3 = '10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink';

describeInNetns(import.meta.path, 'the API server fails', () => {
  test('gone for a while: nothing changes, readiness says so, and afterwards the news are followed', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady([], { env: { TEST_SILENCE_MS: '1000' } });
    const sound = overlayState(['flannel.1']);
    await world.api.faults.refuse();
    await eventually(async () => {
      const { status, text } = await readyz();
      expect(status).toBe(503);
      expect(text).toMatch(/^no word from the API server for more than 1 s: GET .*: connection refused\n$/);
    });
    expect(overlayState(['flannel.1'])).toEqual(sound);
    world.api.nodes.delete('n2');
    world.addPeer('n3', N3);
    expect(overlayState(['flannel.1'])).toEqual(sound);
    await world.api.faults.listen();
    await eventually(() => expect(routes()).toBe(TO_N3));
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(agent.running).toBe(true);
  });

  test('a quiet watch with bookmarks keeps the agent ready', async () => {
    await using world = await worldWithPeer();
    await using _agent = await world.startReady([], { env: { TEST_SILENCE_MS: '3000' } });
    for (let n = 0; n < 20; n += 1) {
      await Bun.sleep(200);
      expect(await readyz()).toEqual({ status: 200, text: 'ready\n' });
    }
  });

  test('a quiet watch without bookmarks is opened again, and keeps the agent ready', async () => {
    await using world = await AgentWorld.create({ netConf: NFT, api: { bookmarkIntervalMs: 600_000 } });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await using _agent = await world.startReady([], { env: { TEST_SILENCE_MS: '4500' } });
    for (let n = 0; n < 24; n += 1) {
      await Bun.sleep(400);
      expect(await readyz()).toEqual({ status: 200, text: 'ready\n' });
    }
  });

  test('a server that takes watches and then says nothing at all is not taken for a quiet one', async () => {
    await using world = await worldWithPeer();
    await using _agent = await world.startReady([], { env: { TEST_SILENCE_MS: '1500' } });
    world.api.faults.stallWatches(true);
    const start = performance.now();
    await eventually(async () => expect((await readyz()).status).toBe(503));
    expect(performance.now() - start).toBeGreaterThan(1200);
    expect((await readyz()).text).toStartWith('no word from the API server for more than');
    world.addPeer('n3', N3);
    world.api.faults.stallWatches(false);
    await eventually(() => expect(routes()).toBe(`${TO_N2}\n${TO_N3}`));
    await eventually(async () => expect((await readyz()).status).toBe(200));
  });

  for (const style of ['mid-event', 'abrupt', 'clean'] as const satisfies readonly CutStyle[]) {
    test(`the watch is cut (${style}): what happened meanwhile is made up for`, async () => {
      await using world = await worldWithPeer();
      await using agent = await world.startReady();
      expect(world.api.faults.cutWatches(style)).toBe(1);
      world.addPeer('n3', N3);
      world.api.nodes.delete('n2');
      await eventually(() => expect(routes()).toBe(TO_N3));
      expect(agent.count('ERROR')).toBe(0);
    });
  }

  test('410 Gone: the nodes are listed again', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    world.api.faults.expireHistory();
    world.api.faults.cutWatches();
    world.api.nodes.delete('n2');
    world.addPeer('n3', N3);
    world.api.faults.expireHistory();
    await eventually(() => expect(routes()).toBe(TO_N3));
    await eventually(() => expect(agent.count('nodes listed')).toBe(2));
    expect(agent.count('repaired')).toBe(0);
  });

  test('garbage in an event: listed again', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    expect(world.api.faults.garbage()).toBe(1);
    world.addPeer('n3', N3);
    await eventually(() => expect(routes()).toBe(`${TO_N2}\n${TO_N3}`));
    expect(agent.running).toBe(true);
  });

  test('own annotations wiped or changed: they are set again', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    const annotations = world.api.nodes.get('n1')?.metadata.annotations;
    expect(annotations).toHaveProperty([`${PREFIX}/backend-data`]);
    world.api.nodes.update('n1', (node) => {
      node.metadata.annotations = {};
    });
    await eventually(() => expect(world.api.nodes.get('n1')?.metadata.annotations).toEqual(annotations));
    await eventually(() => expect(agent.count('somebody changed the annotations')).toBe(1));
    world.annotate('n1', { [`${PREFIX}/public-ip`]: '203.0.113.9' });
    await eventually(() => expect(world.api.nodes.get('n1')?.metadata.annotations).toEqual(annotations));
  });

  test('the own Node is deleted and made anew: published again, and nothing else changes', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    const annotations = world.api.nodes.get('n1')?.metadata.annotations;
    const sound = overlayState(['flannel.1']);
    world.api.nodes.delete('n1');
    await Bun.sleep(100);
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await eventually(() => {
      const node = world.api.nodes.get('n1');
      expect(node?.metadata.annotations).toEqual(annotations);
      expect(JSON.stringify(node?.status)).toContain('FlannelIsUp');
    });
    expect(overlayState(['flannel.1'])).toEqual(sound);
    expect(agent.count('ERROR')).toBe(0);
  });

  test('the own Node comes back with another subnet: the agent starts over with it', async () => {
    await using world = await worldWithPeer();
    await using agent = await world.startReady();
    world.api.nodes.delete('n1');
    world.addNode('n1', { podCidrs: ['10.244.8.0/24'] });
    await eventually(() => {
      expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.8.1/24\n');
      const state = overlayState(['flannel.1']);
      expect(state['addr-flannel.1']).toContain('inet 10.244.8.0/32 ');
      expect(state['addr-flannel.1']).not.toContain('10.244.1.0');
      expect(state['nft']).toContain('10.244.8.0/24');
      expect(state['nft']).not.toContain('10.244.1.0/24');
      expect(state['route']).toBe(TO_N2);
    });
    await eventually(async () => expect((await readyz()).status).toBe(200));
    await eventually(() => expect(agent.count('starting over')).toBe(1));
    world.annotate('n2', peerAnnotations({ ...N2, mac: '02:00:00:00:02:77' }));
    await eventually(() => {
      expect(overlayState(['flannel.1'])['neigh-flannel.1']).toContain('02:00:00:00:02:77');
    });
  });
});
