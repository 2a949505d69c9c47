import { expect, test } from 'bun:test';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { repairEach, type Damage } from '../support/damages.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
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
const V6 = '2001:cafe:42:2::';

const V6_DAMAGES: readonly Damage[] = [
  ['neighbour deleted', ['ip', '-6', 'neigh', 'del', V6, 'dev', 'flannel-v6.1'], `neighbour ${V6} lladdr`],
  [
    'neighbour changed',
    ['ip', '-6', 'neigh', 'replace', V6, 'lladdr', OTHER_MAC, 'nud', 'permanent', 'dev', 'flannel-v6.1'],
    `neighbour ${V6} lladdr ${OTHER_MAC}`,
  ],
  [
    'neighbour added',
    [
      'ip',
      '-6',
      'neigh',
      'add',
      '2001:cafe:42:9::',
      'lladdr',
      OTHER_MAC,
      'nud',
      'permanent',
      'dev',
      'flannel-v6.1',
    ],
    'neighbour 2001:cafe:42:9:: lladdr',
  ],
  ['FDB entry deleted', ['bridge', 'fdb', 'del', PEER.mac6, 'dev', 'flannel-v6.1'], `fdb ${PEER.mac6}`],
  [
    'FDB entry sent elsewhere',
    ['bridge', 'fdb', 'replace', PEER.mac6, 'dst', 'fd50::99', 'dev', 'flannel-v6.1', 'self', 'permanent'],
    `fdb ${PEER.mac6} dst fd50::99`,
  ],
  ['MAC changed', ['ip', 'link', 'set', 'flannel-v6.1', 'address', OTHER_MAC], `MAC ${OTHER_MAC}`],
  [
    'route without a gateway',
    ['ip', '-6', 'route', 'replace', `${V6}/64`, 'dev', 'flannel-v6.1'],
    `route ${V6}/64`,
  ],
  [
    'a second way beside ours',
    ['ip', '-6', 'route', 'append', `${V6}/64`, 'via', 'fd50::1', 'dev', 'eth0'],
    `route ${V6}/64`,
  ],
  [
    'address added',
    ['ip', 'addr', 'add', 'fd99::1/64', 'dev', 'flannel-v6.1', 'nodad'],
    'address fd99::1/64',
  ],
  ['link renamed', ['ip', 'link', 'set', 'flannel-v6.1', 'name', 'mine0'], 'mine0'],
];

const DEVICE_DAMAGES: readonly Damage[] = [
  ['learning on', ['ip', 'link', 'set', 'flannel.1', 'type', 'vxlan', 'learning'], 'learning on'],
  [
    'another local address',
    ['ip', 'link', 'set', 'flannel.1', 'type', 'vxlan', 'id', '1', 'local', '192.168.50.99'],
    'local 192.168.50.99',
  ],
  [
    'another parent',
    ['ip', 'link', 'set', 'flannel.1', 'type', 'vxlan', 'id', '1', 'dev', 'wire'],
    'another parent',
  ],
  [
    'route in front of ours',
    ['ip', 'route', 'prepend', '10.244.2.0/24', 'via', '192.168.50.1', 'dev', 'eth0'],
    'another route to 10.244.2.0/24 in the place of ours: via 192.168.50.1 dev eth0',
  ],
  [
    'route without a gateway in front of ours',
    ['ip', 'route', 'prepend', '10.244.2.0/24', 'dev', 'wire'],
    'another route to 10.244.2.0/24 in the place of ours: dev wire',
  ],
  [
    'black hole in front of ours',
    ['ip', 'route', 'prepend', 'blackhole', '10.244.2.0/24'],
    'another route to 10.244.2.0/24 in the place of ours: it leads nowhere',
  ],
  [
    'route behind ours',
    ['ip', 'route', 'append', '10.244.2.0/24', 'via', '192.168.50.1', 'dev', 'eth0'],
    'another route to 10.244.2.0/24 in the place of ours: via 192.168.50.1 dev eth0',
  ],
  [
    'a destination for what nobody knows',
    [
      'bridge',
      'fdb',
      'append',
      '00:00:00:00:00:00',
      'dst',
      '192.168.50.88',
      'dev',
      'flannel.1',
      'self',
      'permanent',
    ],
    'fdb 00:00:00:00:00:00 dst 192.168.50.88',
  ],
  [
    'a default destination',
    ['ip', 'link', 'set', 'flannel.1', 'type', 'vxlan', 'id', '1', 'remote', '192.168.50.88'],
    'default destination 192.168.50.88',
  ],
  [
    'link in a bridge',
    ['ip', 'link', 'set', 'flannel.1', 'master', 'br0'],
    'link flannel.1 is part of another device',
  ],
];

describeInNetns(import.meta.path, 'damage in every corner is repaired within a second', () => {
  for (const [name, damages] of [
    ['of IPv6', V6_DAMAGES],
    ['of the device', DEVICE_DAMAGES],
  ] as const) {
    test(
      name,
      async () => {
        await using world = await AgentWorld.create({ netConf: DUAL });
        must(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
        world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
        world.addPeer('n2', PEER);
        await using agent = await world.startReady();
        await repairEach(agent, DEVICES, damages);
        must(['ip', 'link', 'delete', 'br0']);
      },
      30_000,
    );
  }
});

describeInNetns(import.meta.path, 'an IPv6 route of somebody else with a better metric', () => {
  test('is left alone and told of, once each time it comes', async () => {
    await using world = await AgentWorld.create({ netConf: DUAL });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    world.addPeer('n2', PEER);
    await using agent = await world.startReady();
    const words = `goes before the one to a peer route="${V6}/64 metric 100"`;
    for (const times of [1, 2]) {
      must(['ip', '-6', 'route', 'add', `${V6}/64`, 'via', 'fd50::1', 'dev', 'eth0', 'metric', '100']);
      await eventually(() => expect(agent.count(words)).toBe(times));
      await Bun.sleep(100);
      expect(
        must(['ip', '-6', 'route', 'show', `${V6}/64`])
          .trim()
          .split('\n'),
      ).toHaveLength(2);
      must(['ip', '-6', 'route', 'del', `${V6}/64`, 'metric', '100']);
      await Bun.sleep(200);
    }
    expect(agent.count('repaired')).toBe(0);
  });
});
