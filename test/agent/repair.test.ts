import { expect, test } from 'bun:test';
import { appendFileSync, rmSync } from 'node:fs';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { repairEach, repairs, type Damage } from '../support/damages.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { overlayState, rulesText } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const DUAL = golden('vxlan-dual-nftables/net-conf.json');
const DEVICES = ['flannel.1', 'flannel-v6.1'];
const PEER = {
  ...N2,
  podCidrs: ['10.244.2.0/24', '2001:cafe:42:2::/64'],
  publicIp6: 'fd50::12',
  mac6: '96:1a:97:82:a2:9e',
};
const OTHER_MAC = '02:00:00:00:00:99';

const DAMAGES: readonly Damage[] = [
  ['link deleted', ['ip', 'link', 'delete', 'flannel.1'], 'link flannel.1 missing'],
  ['IPv6 link deleted', ['ip', 'link', 'delete', 'flannel-v6.1'], 'link flannel-v6.1 missing'],
  [
    'address deleted',
    ['ip', 'addr', 'del', '10.244.1.0/32', 'dev', 'flannel.1'],
    'address 10.244.1.0/32 missing',
  ],
  [
    'IPv6 address deleted',
    ['ip', 'addr', 'del', '2001:cafe:42:1::/128', 'dev', 'flannel-v6.1'],
    'address 2001:cafe:42:1::/128 missing',
  ],
  [
    'address added',
    ['ip', 'addr', 'add', '10.9.9.9/24', 'dev', 'flannel.1'],
    'address 10.9.9.9/24 on flannel.1 is not planned',
  ],
  [
    'route deleted',
    ['ip', 'route', 'del', '10.244.2.0/24'],
    'route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 missing',
  ],
  [
    'IPv6 route deleted',
    ['ip', '-6', 'route', 'del', '2001:cafe:42:2::/64'],
    'route 2001:cafe:42:2::/64 via 2001:cafe:42:2:: dev flannel-v6.1 missing',
  ],
  [
    'route sent elsewhere',
    ['ip', 'route', 'replace', '10.244.2.0/24', 'via', '192.168.50.1', 'dev', 'eth0'],
    'route 10.244.2.0/24',
  ],
  [
    'route without a gateway',
    ['ip', 'route', 'replace', '10.244.2.0/24', 'dev', 'flannel.1'],
    'route 10.244.2.0/24',
  ],
  [
    'route into a black hole',
    ['ip', 'route', 'replace', 'blackhole', '10.244.2.0/24'],
    'route 10.244.2.0/24',
  ],
  [
    'IPv6 route sent elsewhere',
    ['ip', '-6', 'route', 'replace', '2001:cafe:42:2::/64', 'via', 'fd50::1', 'dev', 'eth0'],
    'route 2001:cafe:42:2::/64',
  ],
  [
    'IPv6 route into a black hole',
    ['ip', '-6', 'route', 'replace', 'blackhole', '2001:cafe:42:2::/64'],
    'route 2001:cafe:42:2::/64',
  ],
  [
    'neighbour deleted',
    ['ip', 'neigh', 'del', '10.244.2.0', 'dev', 'flannel.1'],
    'neighbour 10.244.2.0 lladdr ba:35:f7:c1:34:9a dev flannel.1 missing',
  ],
  [
    'neighbour changed',
    ['ip', 'neigh', 'replace', '10.244.2.0', 'lladdr', OTHER_MAC, 'nud', 'permanent', 'dev', 'flannel.1'],
    `neighbour 10.244.2.0 lladdr ${OTHER_MAC} dev flannel.1 is not as planned`,
  ],
  [
    'neighbour no longer permanent',
    ['ip', 'neigh', 'replace', '10.244.2.0', 'lladdr', N2.mac, 'nud', 'stale', 'dev', 'flannel.1'],
    'neighbour 10.244.2.0',
  ],
  [
    'FDB entry deleted',
    ['bridge', 'fdb', 'del', N2.mac, 'dev', 'flannel.1'],
    `fdb ${N2.mac} dst 192.168.50.12 dev flannel.1 missing`,
  ],
  [
    'FDB entry sent elsewhere',
    ['bridge', 'fdb', 'replace', N2.mac, 'dst', '192.168.50.99', 'dev', 'flannel.1', 'self', 'permanent'],
    `fdb ${N2.mac} dst 192.168.50.99 dev flannel.1 is not as planned`,
  ],
  [
    'FDB entry added',
    ['bridge', 'fdb', 'add', OTHER_MAC, 'dst', '192.168.50.99', 'dev', 'flannel.1', 'self', 'permanent'],
    `fdb ${OTHER_MAC} dst 192.168.50.99 dev flannel.1 is not planned`,
  ],
  ['MAC changed', ['ip', 'link', 'set', 'flannel.1', 'address', OTHER_MAC], `MAC ${OTHER_MAC}`],
  ['MTU changed', ['ip', 'link', 'set', 'flannel.1', 'mtu', '1400'], 'MTU 1400, not 1450'],
  ['MTU too small for IPv6', ['ip', 'link', 'set', 'flannel-v6.1', 'mtu', '1200'], 'MTU 1200, not 1430'],
  ['link down', ['ip', 'link', 'set', 'flannel.1', 'down'], 'link flannel.1 is down'],
  ['IPv6 link down', ['ip', 'link', 'set', 'flannel-v6.1', 'down'], 'link flannel-v6.1 is down'],
  ['chain flushed', ['nft', 'flush', 'chain', 'ip', 'flannel-ipv4', 'forward'], 'chain forward'],
  ['table deleted', ['nft', 'delete', 'table', 'ip6', 'flannel-ipv6'], 'flannel-ipv6'],
  ['everything of nftables deleted', ['nft', 'flush', 'ruleset'], 'flannel-ipv4'],
];

describeInNetns(import.meta.path, 'what somebody damages is repaired within a second', () => {
  test('one damage after another, each told once', async () => {
    await using world = await AgentWorld.create({ netConf: DUAL });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    world.addPeer('n2', PEER);
    await using agent = await world.startReady();
    expect(overlayState(DEVICES)['fdb-flannel-v6.1']).toContain('dst fd50::12');
    await repairEach(agent, DEVICES, DAMAGES);
  });

  test('the checksum offload, when it is asked for, and never otherwise', async () => {
    await using world = await AgentWorld.create({ netConf: DUAL });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    const set = (state: string) => {
      for (const link of DEVICES) must(['ethtool', '-K', link, 'tx-checksum-ip-generic', state]);
    };
    const states = () =>
      DEVICES.map((link) => /tx-checksum-ip-generic: (on|off)/.exec(must(['ethtool', '-k', link]))?.[1]);
    {
      await using agent = await world.startReady(['--vxlan-tx-checksum=off']);
      expect(states()).toEqual(['off', 'off']);
      // At once after the start there is a first look with notifications on.
      await Bun.sleep(100);
      const before = repairs(agent).length;
      set('on');
      expect(await timeUntil(() => expect(states()).toEqual(['off', 'off']))).toBeLessThan(AT_ONCE);
      await Bun.sleep(80);
      const said = repairs(agent).slice(before).join('\n');
      expect(said).toContain('tx-checksum-ip-generic of flannel.1 is on, not off');
      expect(said).toContain('tx-checksum-ip-generic of flannel-v6.1 is on, not off');
      must(['ip', 'link', 'delete', 'flannel.1']);
      expect(await timeUntil(() => expect(states()).toEqual(['off', 'off']))).toBeLessThan(AT_ONCE);
      expect(agent.count('ERROR')).toBe(0);
    }
    {
      await using agent = await world.startReady();
      expect(states()).toEqual(['off', 'off']);
      set('on');
      await Bun.sleep(200);
      set('off');
      await Bun.sleep(200);
      expect([states(), repairs(agent)]).toEqual([['off', 'off'], []]);
    }
    await using agent = await world.startReady(['--vxlan-tx-checksum=on']);
    expect([states(), agent.count('ERROR')]).toEqual([['on', 'on'], 0]);
  });

  test('the external interface goes down and comes back', async () => {
    await using world = await AgentWorld.create({ netConf: DUAL });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    world.addPeer('n2', PEER);
    await using agent = await world.startReady();
    const sound = overlayState(DEVICES);
    must(['ip', 'link', 'set', 'eth0', 'down']);
    await Bun.sleep(100);
    must(['ip', 'link', 'set', 'eth0', 'up']);
    expect(await timeUntil(() => expect(overlayState(DEVICES)).toEqual(sound))).toBeLessThan(AT_ONCE);
    expect(agent.running).toBe(true);
  });

  test('the subnet file, removed or edited', async () => {
    await using world = await AgentWorld.create({ netConf: DUAL });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    await using agent = await world.startReady();
    const text = world.subnetEnv();
    expect(text).toBe(golden('vxlan-dual-nftables/subnet.env'));
    rmSync(world.subnetFile);
    expect(await timeUntil(() => expect(world.subnetEnv()).toBe(text))).toBeLessThan(AT_ONCE);
    appendFileSync(world.subnetFile, 'FLANNEL_MTU=9000\n');
    expect(await timeUntil(() => expect(world.subnetEnv()).toBe(text))).toBeLessThan(AT_ONCE);
    await eventually(() => expect(agent.count('subnet file was removed or changed')).toBe(2));
  });

  test('iptables chains, within the resync period', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-iptables/net-conf.json') });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await using agent = await world.startReady(['--iptables-resync=1']);
    const saved = (): Record<string, string> => ({ ...rulesText(), nft: '' });
    const sound = saved();
    expect(sound['iptables-save']).toContain('FLANNEL-FWD');
    const damages = [
      ['iptables', '-F', 'FLANNEL-FWD'],
      ['iptables', '-t', 'nat', '-D', 'POSTROUTING', '1'],
      ['iptables', '-t', 'nat', '-F'],
    ];
    for (const [at, argv] of damages.entries()) {
      must(argv);
      const took = await timeUntil(() => expect(saved()).toEqual(sound));
      expect(took).toBeLessThan(AT_ONCE);
      await eventually(() => expect(agent.count('put back')).toBe(at + 1));
    }
    must(['iptables', '-t', 'nat', '-F', 'POSTROUTING']);
    must(['iptables', '-t', 'nat', '-F', 'FLANNEL-POSTRTG']);
    must(['iptables', '-t', 'nat', '-X', 'FLANNEL-POSTRTG']);
    expect(await timeUntil(() => expect(saved()).toEqual(sound))).toBeLessThan(AT_ONCE);
    expect(agent.count('ERROR')).toBe(0);
  });

  test('what others have on the node is left alone', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-nftables/net-conf.json') });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addPeer('n2', N2);
    must(['ip', 'link', 'add', 'vx9', 'type', 'vxlan', 'id', '9', 'dstport', '4790', 'dev', 'eth0']);
    must(['ip', 'route', 'add', '10.77.0.0/16', 'via', '192.168.50.2']);
    must(['ip', 'route', 'add', '10.244.2.0/24', 'via', '192.168.50.2', 'metric', '500']);
    must(['ip', 'neigh', 'add', '192.168.50.77', 'lladdr', OTHER_MAC, 'nud', 'permanent', 'dev', 'eth0']);
    must(['nft', 'add', 'table', 'ip', 'mine']);
    await using agent = await world.startReady();
    must(['ip', 'link', 'delete', 'flannel.1']);
    await eventually(() => expect(overlayState(['flannel.1'])['route']).toContain('onlink'));
    await Bun.sleep(100);
    expect(must(['ip', 'route', 'show'])).toContain('10.77.0.0/16 via 192.168.50.2');
    expect(must(['ip', 'route', 'show'])).toContain('10.244.2.0/24 via 192.168.50.2 dev eth0 metric 500');
    expect(must(['ip', 'neigh', 'show', 'dev', 'eth0'])).toContain(`192.168.50.77 lladdr ${OTHER_MAC}`);
    expect(must(['ip', '-d', 'link', 'show', 'vx9'])).toContain('vxlan id 9');
    expect(must(['nft', 'list', 'tables'])).toContain('table ip mine');
    expect(agent.log).not.toContain('ERROR');
  });
});
