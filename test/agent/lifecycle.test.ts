import { expect, test } from 'bun:test';
import { chmodSync, readFileSync } from 'node:fs';
import { AgentWorld, N2, readyz } from '../support/agent-world.ts';
import { AT_ONCE, eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { KernelReports } from '../support/kernel-reports.ts';
import { deviceText, overlayState, routesText, rulesText } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const DUAL = golden('vxlan-dual-nftables/net-conf.json');
const NFT = golden('vxlan-nftables/net-conf.json');
const IPTABLES = golden('vxlan-iptables/net-conf.json');
const DEVICES = ['flannel.1', 'flannel-v6.1'];

describeInNetns(import.meta.path, 'start, stop and start again', () => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`a restart by ${signal} changes nothing in the kernel`, async () => {
      await using world = await AgentWorld.create({ netConf: DUAL });
      world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
      world.addPeer('n2', {
        ...N2,
        podCidrs: ['10.244.2.0/24', '2001:cafe:42:2::/64'],
        publicIp6: 'fd50::12',
        mac6: '96:1a:97:82:a2:9e',
      });
      await using agent = await world.startReady();
      // Duplicate address detection and its notifications are over.
      await eventually(() => expect(must(['ip', '-6', 'addr'])).not.toContain('tentative'));
      const before = DEVICES.map(deviceText);
      const [routes, rules] = [routesText(), rulesText()];
      const annotations = world.api.nodes.get('n1')?.metadata.annotations;
      await using reports = new KernelReports();
      await reports.working();
      const seen = reports.lines().length;
      const { ms, code } = await agent.stop(signal);
      expect(ms).toBeLessThan(AT_ONCE);
      if (signal === 'SIGTERM') expect(code).toBe(0);
      expect(DEVICES.map(deviceText)).toEqual(before);
      await using next = await world.startReady();
      await Bun.sleep(300);
      expect(DEVICES.map(deviceText)).toEqual(before);
      expect(routesText()).toEqual(routes);
      expect(rulesText()).toEqual(rules);
      expect(reports.lines().slice(seen)).toEqual([]);
      expect(world.api.nodes.get('n1')?.metadata.annotations).toEqual(annotations);
      expect(next.count('repaired')).toBe(0);
      expect(next.count('WARN')).toBe(0);
    });
  }

  test('SIGINT ends it with 0, too, and also while it waits', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('waiting for the Node object of this node'));
    const { code, ms } = await agent.stop('SIGINT');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(AT_ONCE);
    await eventually(() => expect(agent.log).toContain('what is in the kernel stays'));
  });

  test('what came and went while it was away is made up for', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addPeer('n2', N2);
    await using agent = await world.startReady();
    await agent.stop('SIGKILL');
    world.api.nodes.delete('n2');
    const n3 = { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' };
    world.addPeer('n3', n3);
    must(['ip', 'link', 'set', 'flannel.1', 'mtu', '1300']);
    await using next = await world.startReady();
    const state = overlayState(['flannel.1']);
    expect(state['route']).toBe('10.244.3.0/24 via 10.244.3.0 dev flannel.1 onlink');
    expect(state['neigh-flannel.1']).toBe('10.244.3.0 lladdr 02:00:00:00:03:03 PERMANENT');
    expect(state['fdb-flannel.1']).toBe('02:00:00:00:03:03 dst 192.168.50.13 self permanent');
    expect(state['link-flannel.1']).toContain('mtu 1450');
    expect(next.count('ERROR')).toBe(0);
  });

  test('another VNI: the device of the earlier configuration goes', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addPeer('n2', N2);
    await using agent = await world.startReady();
    await agent.stop('SIGTERM');
    world.writeNetConf(
      '{"Network":"10.244.0.0/16","EnableNFTables":true,"Backend":{"Type":"vxlan","VNI":7}}',
    );
    await using _next = await world.startReady();
    const links = must(['ip', '-o', 'link', 'show', 'type', 'vxlan']);
    expect(links).toContain('flannel.7');
    expect(links).not.toContain('flannel.1');
    expect(overlayState(['flannel.7'])['route']).toContain('dev flannel.7');
  });

  test('another podCIDR, while it was away and while it runs: nothing of the old one is left', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addPeer('n2', N2);
    const blackhole = '--ip-blackhole-route';
    await using agent = await world.startReady([blackhole]);
    await agent.stop('SIGKILL');
    const move = (podCIDR: string) =>
      world.api.nodes.update('n1', (node) => {
        node.spec = { podCIDR, podCIDRs: [podCIDR] };
      });
    // Somebody else's address, too, which an earlier run could have left.
    must(['ip', 'addr', 'add', '10.244.77.0/32', 'dev', 'flannel.1']);
    const mac = /link\/ether (\S+)/.exec(must(['ip', 'link', 'show', 'flannel.1']))?.[1] ?? '';
    const clean = (of: string, olds: readonly string[]) => {
      const text = [
        must(['ip', 'addr', 'show', 'dev', 'flannel.1']),
        must(['ip', 'route']),
        must(['nft', 'list', 'ruleset']),
        world.subnetEnv(),
      ].join('\n');
      for (const old of olds) expect(text).not.toContain(old);
      expect(text).toContain(`inet ${of}.0/32`);
      expect(text).toContain(`blackhole ${of}.0/24`);
      expect(text).toContain(`FLANNEL_SUBNET=${of}.1/24`);
      expect(text).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      expect(text).toContain(mac);
    };
    move('10.244.8.0/24');
    await using next = await world.startReady([blackhole]);
    clean('10.244.8', ['10.244.1.', '10.244.77.']);
    move('10.244.9.0/24');
    await eventually(() => clean('10.244.9', ['10.244.1.', '10.244.8.']));
    await eventually(async () => expect((await readyz()).status).toBe(200));
    // Pods that are there have addresses of the old one: that is an error of the cluster, told once.
    await eventually(() => expect(next.count('ERROR')).toBe(1));
    await eventually(() => expect(next.log).toContain('the subnet of this node has changed'));
  });

  test('iptables to nftables and back: the rules of the other mode go', async () => {
    await using world = await AgentWorld.create({ netConf: IPTABLES });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    must(['iptables', '-A', 'FORWARD', '-s', '192.0.2.1', '-j', 'DROP']);
    const flannel = () => {
      const { nft = '', 'iptables-save': iptables = '' } = rulesText();
      return { nft: nft.includes('flannel-ipv4'), iptables: iptables.includes('FLANNEL') };
    };
    for (const mode of ['iptables', 'nftables', 'iptables'] as const) {
      world.writeNetConf(mode === 'iptables' ? IPTABLES : NFT);
      await using agent = await world.startReady();
      expect(flannel()).toEqual({ nft: mode === 'nftables', iptables: mode === 'iptables' });
      expect(rulesText()['iptables-save']).toContain('-A FORWARD -s 192.0.2.1/32 -j DROP');
      await agent.stop('SIGTERM');
      expect(agent.count('ERROR')).toBe(0);
    }
  });
});

describeInNetns(import.meta.path, 'what it waits for', () => {
  test('an API server that is not there yet', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await world.api.faults.refuse();
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('cannot read the Node object of this node'));
    expect((await readyz()).status).toBe(503);
    expect(JSON.parse(readFileSync(`${world.folder}/run/status.json`, 'utf8'))).toMatchObject({
      ready: false,
      reason: expect.stringContaining('connection refused'),
    });
    await world.api.faults.listen();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    await eventually(() => expect(agent.count('cannot read the Node object')).toBe(1));
  });

  test('a Node without podCIDR', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: [] });
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('pod cidr not assigned'));
    await eventually(() => expect(agent.log).toContain('--allocate-node-cidrs=true'));
    expect((await readyz()).status).toBe(503);
    world.api.nodes.update('n1', (node) => {
      node.spec = { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24'] };
    });
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.1.1/24');
  });

  test('a default route', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    must(['ip', 'route', 'del', 'default']);
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('there is no default route'));
    expect((await readyz()).text).toContain('external interface: there is no default route');
    must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
    await eventually(async () => expect((await readyz()).status).toBe(200));
  });

  test('a device that the kernel refuses: nothing is published before it works', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    must([
      'ip',
      'link',
      'add',
      'other',
      'type',
      'vxlan',
      'id',
      '1',
      'dstport',
      '8472',
      'local',
      '192.168.50.11',
      'dev',
      'eth0',
    ]);
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('the overlay device cannot be set up'));
    await eventually(() => expect(agent.log).toContain('Device other holds VNI 1'));
    expect(world.annotation('n1', 'public-ip')).toBeUndefined();
    must(['ip', 'link', 'delete', 'other']);
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(world.annotation('n1', 'public-ip')).toBe('192.168.50.11');
  });

  test('a subnet file that cannot be written', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    // A folder in the file's place stops root, too, unless it is empty.
    must(['mkdir', '-p', `${world.subnetFile}/full`]);
    await using agent = world.start();
    await eventually(async () => expect((await readyz()).text).toContain('subnet file: '));
    await eventually(() => expect(agent.count('the subnet file cannot be written')).toBe(1));
    must(['rm', '-r', world.subnetFile]);
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.1.1/24');
  });

  test('rights: without them it ends and says which', async () => {
    await using world = await AgentWorld.create({ netConf: NFT });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    chmodSync(world.folder, 0o777);
    const prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
    await using agent = world.start([], { prefix });
    expect(await agent.exited()).toBe(1);
    await eventually(() => expect(agent.log).toContain('operation not permitted (EPERM)'));
    await eventually(() => expect(agent.log).toContain('Run as root or with CAP_NET_ADMIN'));
    expect(agent.log).not.toContain('    at ');
    expect(world.annotation('n1', 'public-ip')).toBeUndefined();
  });
});
