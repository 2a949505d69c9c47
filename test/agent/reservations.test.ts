import { expect, test } from 'bun:test';
import { readdirSync, rmSync } from 'node:fs';
import { AgentWorld } from '../support/agent-world.ts';
import { addPod, must as plugin } from '../support/cni.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, NamedNetns } from '../support/netns.ts';

async function worldWithN1(): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: golden('vxlan-nftables/net-conf.json') });
  world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  return world;
}

function config(world: AgentWorld): object {
  return {
    cniVersion: '1.0.0',
    name: 'cbr0',
    type: 'host-local',
    ipam: {
      type: 'host-local',
      dataDir: `${world.folder}/networks`,
      ranges: [[{ subnet: '10.244.1.0/24' }]],
    },
  };
}

/** Reserves an address for a pod with a namespace of its own, as the runtime would have it. */
async function reserve(world: AgentWorld, pod: NamedNetns): Promise<string> {
  const call = { containerId: pod.name, netns: pod.path, config: config(world) };
  return (await addPod('host-local', call)).ips[0]?.address.replace(/\/24$/, '') ?? '';
}

function held(world: AgentWorld): string[] {
  return readdirSync(`${world.folder}/networks/cbr0`)
    .filter((name) => name.startsWith('10.'))
    .sort();
}

describeInNetns(import.meta.path, 'reservations of pods that died without a DEL', () => {
  test('are freed, those of living pods stay', async () => {
    await using world = await worldWithN1();
    using living = NamedNetns.create('resv');
    const dead = [NamedNetns.create('resv'), NamedNetns.create('resv')];
    const kept = await reserve(world, living);
    const leaked = [];
    for (const pod of dead) leaked.push(await reserve(world, pod));
    // The runtime is killed, its pods with it: their namespaces go, nobody calls DEL.
    for (const pod of dead) pod[Symbol.dispose]();
    expect(held(world)).toEqual([kept, ...leaked].sort());
    await using agent = await world.startReady();
    await eventually(() => expect(held(world)).toEqual([kept]));
    await eventually(() =>
      expect(agent.log).toContain('freed addresses of containers that are gone network=cbr0 count=2'),
    );
    for (const ip of leaked) expect(agent.log).toContain(ip);
    expect(agent.count('WARN')).toBe(0);
    // The runtime's late DEL finds nothing and is content; the living pod's frees its own.
    const call = { command: 'DEL', config: config(world) };
    for (const pod of dead) await plugin('host-local', { ...call, containerId: pod.name, netns: '' });
    await plugin('host-local', { ...call, containerId: living.name, netns: living.path });
    expect(held(world)).toEqual([]);
  });

  test('an agent that does not see the namespaces of the node, or not what is mounted there, takes nothing from the living', async () => {
    await using world = await worldWithN1();
    using early = NamedNetns.create('resv');
    const first = await reserve(world, early);
    const gone = NamedNetns.create('resv');
    const leaked = await reserve(world, gone);
    gone[Symbol.dispose]();
    // In a pod /run/netns may be another folder altogether.
    const hidden = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c'];
    const cover = [...hidden, 'mount -t tmpfs tmpfs /run/netns && exec "$@"', 'sh'];
    await using blind = await world.startReady([], { prefix: cover });
    expect(held(world)).toEqual([first, leaked].sort());
    await blind.stop('SIGTERM');
    // Or the folder of the node, in which later namespaces are empty files for want of mount propagation.
    const wait = 'while [ ! -e "$0" ]; do sleep 0.05; done; exec "$@"';
    await using agent = world.start([], { prefix: [...hidden, wait, `${world.folder}/go`] });
    await Bun.sleep(200);
    using late = NamedNetns.create('resv');
    const second = await reserve(world, late);
    await Bun.write(`${world.folder}/go`, '');
    await eventually(() => expect(held(world)).toEqual([first, second].sort()));
    rmSync(`${world.folder}/go`);
    expect(agent.count('ERROR')).toBe(0);
  });
});
