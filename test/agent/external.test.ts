import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { AgentWorld, N2, readyz } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');
const PUBLIC_IP = 'flannel.alpha.coreos.com/public-ip';

function macOf(link: string): string {
  return /link\/ether (\S+)/.exec(must(['ip', 'link', 'show', link]))?.[1] ?? '';
}

async function working(): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: NFT });
  world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  world.addPeer('n2', N2);
  return world;
}

describeInNetns(import.meta.path, 'with --ip-blackhole-route', () => {
  test('the own subnet ends in a blackhole behind every other route, also after somebody removed it', async () => {
    await using world = await working();
    await using agent = await world.startReady(['--ip-blackhole-route']);
    const blackhole = 'blackhole 10.244.1.0/24 metric 65535';
    expect(must(['ip', 'route'])).toContain(blackhole);
    // The bridge's own route has the same destination, and wins.
    must(['ip', 'link', 'add', 'cni0', 'type', 'bridge']);
    must(['ip', 'addr', 'add', '10.244.1.1/24', 'dev', 'cni0']);
    must(['ip', 'link', 'set', 'cni0', 'up']);
    expect(must(['ip', 'route', 'get', '10.244.1.9'])).toContain('dev cni0');
    must(['ip', 'route', 'del', 'blackhole', '10.244.1.0/24', 'metric', '65535']);
    await eventually(() => expect(must(['ip', 'route'])).toContain(blackhole));
    expect((await agent.stop('SIGTERM')).code).toBe(0);
    await using _without = await world.startReady();
    expect(must(['ip', 'route'])).not.toContain('blackhole');
    expect(must(['ip', 'route'])).toContain('10.244.1.0/24 dev cni0');
    must(['ip', 'link', 'del', 'cni0']);
  });
});

describeInNetns(import.meta.path, 'the external interface changes', () => {
  test('another address: device, lease and peers follow; the MAC stays', async () => {
    await using world = await working();
    await using agent = await world.startReady();
    const mac = macOf('flannel.1');
    must(['ip', 'addr', 'add', '192.168.50.77/24', 'dev', 'eth0']);
    await Bun.sleep(800);
    // One address more is no reason to leave the first.
    expect(agent.count('starting over')).toBe(0);
    must(['ip', 'addr', 'del', '192.168.50.11/24', 'dev', 'eth0']);
    must(['ip', 'addr', 'replace', '192.168.50.77/24', 'dev', 'eth0']);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.50.1']);
    await eventually(() => {
      expect(must(['ip', '-d', 'link', 'show', 'flannel.1'])).toContain('local 192.168.50.77');
      expect(world.api.nodes.get('n1')?.metadata.annotations?.[PUBLIC_IP]).toBe('192.168.50.77');
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      expect(must(['bridge', 'fdb', 'show', 'dev', 'flannel.1'])).toContain('dst 192.168.50.12');
    });
    expect(macOf('flannel.1')).toBe(mac);
    await eventually(() =>
      expect(agent.log).toContain('address of eth0 is now 192.168.50.77, was 192.168.50.11'),
    );
  });

  test('another MTU: device, subnet.env and the bridge of the pods follow, and back', async () => {
    await using world = await working();
    await using agent = await world.startReady();
    // As the CNI plugins make them; the MTU of a bridge that nobody has set is that of its smallest port.
    must(['ip', 'link', 'add', 'cni0', 'mtu', '1450', 'type', 'bridge']);
    must(['ip', 'addr', 'add', '10.244.1.1/24', 'dev', 'cni0']);
    must(['ip', 'link', 'add', 'pod1', 'mtu', '1450', 'type', 'veth', 'peer', 'name', 'pod1eth0']);
    must(['ip', 'link', 'set', 'pod1', 'master', 'cni0', 'up']);
    must(['ip', 'link', 'add', 'br9', 'mtu', '1450', 'type', 'bridge']);
    const mtuOf = (link: string) => /mtu (\d+)/.exec(must(['ip', 'link', 'show', link]))?.[1];
    expect(mtuOf('cni0')).toBe('1450');
    must(['ip', 'link', 'set', 'eth0', 'mtu', '1400']);
    await eventually(() => {
      expect(must(['ip', 'link', 'show', 'flannel.1'])).toContain('mtu 1350');
      expect(readFileSync(`${world.folder}/run/subnet.env`, 'utf8')).toContain('FLANNEL_MTU=1350\n');
    });
    await eventually(() => expect(mtuOf('cni0')).toBe('1350'));
    await eventually(() => expect(agent.log).toContain('MTU of eth0 is now 1400, was 1500'));
    expect(mtuOf('br9')).toBe('1450');
    // A pod keeps its own; another, larger MTU must not send it what it cannot take.
    expect(mtuOf('pod1')).toBe('1450');
    must(['ip', 'link', 'set', 'eth0', 'mtu', '9000']);
    await eventually(() => expect(mtuOf('flannel.1')).toBe('8950'));
    await eventually(() => expect(mtuOf('cni0')).toBe('1450'));
    // Its pods gone, the bridge has what new ones get.
    must(['ip', 'link', 'del', 'pod1']);
    must(['ip', 'link', 'set', 'eth0', 'mtu', '1500']);
    await eventually(() => expect(mtuOf('flannel.1')).toBe('1450'));
    for (const link of ['cni0', 'br9']) must(['ip', 'link', 'del', link]);
  });

  test('gone and back, with another index: everything is there again', async () => {
    await using world = await working();
    await using _agent = await world.startReady();
    must(['ip', 'link', 'del', 'eth0']);
    await eventually(() => expect(must(['ip', '-br', 'link'])).not.toContain('flannel.1'));
    must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'world']);
    for (const name of ['world', 'eth0']) must(['ip', 'link', 'set', name, 'up']);
    must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.50.1']);
    await eventually(() => {
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      expect(must(['ip', 'neigh', 'show', 'dev', 'flannel.1'])).toContain('10.244.2.0 lladdr');
      expect(must(['bridge', 'fdb', 'show', 'dev', 'flannel.1'])).toContain('dst 192.168.50.12');
    });
  });

  test('renamed: the agent goes on under the new name, and nothing is made anew', async () => {
    await using world = await working();
    await using agent = await world.startReady();
    const index = () => /^(\d+):/.exec(must(['ip', '-o', 'link', 'show', 'flannel.1']))?.[1];
    const before = index();
    must(['ip', 'link', 'set', 'eth0', 'name', 'ens7']);
    await eventually(() => expect(agent.log).toContain('address 192.168.50.11 of eth0 is now on ens7'));
    await eventually(() => expect(agent.log).toContain('external interface interface=ens7'));
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(index()).toBe(before);
    must(['ip', 'route', 'del', '10.244.2.0/24']);
    await eventually(() => expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0'));
    expect(agent.count('ERROR')).toBe(0);
    must(['ip', 'link', 'del', 'ens7']);
  });

  test('gone, and back with another index, address and MTU', async () => {
    await using world = await working();
    await using agent = await world.startReady();
    const mac = macOf('flannel.1');
    must(['ip', 'link', 'del', 'eth0']);
    await Bun.sleep(300);
    must(['ip', 'link', 'add', 'eth0', 'mtu', '1400', 'type', 'veth', 'peer', 'name', 'world']);
    for (const name of ['world', 'eth0']) must(['ip', 'link', 'set', name, 'up']);
    must(['ip', 'addr', 'add', '192.168.50.99/24', 'dev', 'eth0']);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.50.1']);
    await eventually(() => {
      expect(must(['ip', '-d', 'link', 'show', 'flannel.1'])).toMatch(/mtu 1350[\s\S]*local 192.168.50.99/);
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      expect(world.annotation('n1', 'public-ip')).toBe('192.168.50.99');
      expect(world.subnetEnv()).toContain('FLANNEL_MTU=1350');
    });
    expect(macOf('flannel.1')).toBe(mac);
    expect(agent.running).toBe(true);
  });

  test('gone for good: after ten seconds the interface that now has the default route takes over', async () => {
    await using world = await working();
    await using agent = await world.startReady();
    must(['ip', 'link', 'del', 'eth0']);
    must(['ip', 'link', 'add', 'ens9', 'type', 'veth', 'peer', 'name', 'wire9']);
    for (const name of ['wire9', 'ens9']) must(['ip', 'link', 'set', name, 'up']);
    must(['ip', 'addr', 'add', '192.168.60.11/24', 'dev', 'ens9']);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.60.1']);
    await eventually(async () => expect((await readyz()).status).toBe(503));
    await eventually(() => {
      expect(must(['ip', '-d', 'link', 'show', 'flannel.1'])).toContain('local 192.168.60.11 dev ens9');
      expect(world.annotation('n1', 'public-ip')).toBe('192.168.60.11');
    });
    await eventually(async () => expect((await readyz()).status).toBe(200));
    await eventually(() => expect(agent.log).toContain('eth0 has been without an address for 10 s'));
    must(['ip', 'link', 'del', 'ens9']);
  });
});
