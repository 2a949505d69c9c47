import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { AgentWorld, N2, readyz } from '../support/agent-world.ts';
import { repairEach, type Damage } from '../support/damages.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must, run } from '../support/netns.ts';

const DUAL = golden('vxlan-dual-nftables/net-conf.json');
const SIX = JSON.stringify({
  EnableIPv4: false,
  EnableIPv6: true,
  IPv6Network: '2001:cafe:42::/56',
  EnableNFTables: true,
  Backend: { Type: 'vxlan' },
});
const PEER = {
  ...N2,
  podCidrs: ['10.244.2.0/24', '2001:cafe:42:2::/64'],
  publicIp6: 'fd50::12',
  mac6: '96:1a:97:82:a2:9e',
};

async function world(netConf = DUAL): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
  made.addPeer('n2', PEER);
  return made;
}

/** Takes every IPv6 address and the default route from the node. */
function loseIpv6(): void {
  writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '1');
}

function gainIpv6(): void {
  writeFileSync('/proc/sys/net/ipv6/conf/all/disable_ipv6', '0');
  must(['ip', 'addr', 'replace', 'fd50::11/64', 'dev', 'eth0', 'nodad']);
  must(['ip', '-6', 'route', 'replace', 'default', 'via', 'fd50::1']);
}

function ipv4Works(): void {
  expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
}

function ipv6Works(): void {
  expect(must(['ip', '-6', 'route'])).toContain('2001:cafe:42:2::/64 via 2001:cafe:42:2:: dev flannel-v6.1');
  expect(must(['bridge', 'fdb', 'show', 'dev', 'flannel-v6.1'])).toContain('dst fd50::12');
}

const REPAIRABLE: readonly Damage[] = [
  ['route', ['ip', 'route', 'del', '10.244.2.0/24'], 'route 10.244.2.0/24'],
  ['device', ['ip', 'link', 'del', 'flannel.1'], 'link flannel.1 missing'],
];

describeInNetns(import.meta.path, 'one family does not hold up the other', () => {
  test('started without an IPv6 address: IPv4 works, and IPv6 follows when there is one', async () => {
    await using node = await world();
    loseIpv6();
    await using agent = node.start();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    ipv4Works();
    expect(node.annotation('n1', 'public-ip')).toBe('192.168.50.11');
    expect(node.annotation('n1', 'public-ipv6')).toBeUndefined();
    await eventually(() =>
      expect(agent.log).toContain('going on without a family; it follows when the interface has an address'),
    );
    gainIpv6();
    await eventually(() => ipv6Works());
    await eventually(() => expect(node.annotation('n1', 'public-ipv6')).toBe('fd50::11'));
    ipv4Works();
    await eventually(() => expect(agent.log).toContain('eth0 now has the ipv6 address fd50::11'));
    expect(agent.count('ERROR')).toBe(0);
    gainIpv6();
  });

  test('IPv6 switched off on the node while it runs, and on again: IPv4 is repaired as ever', async () => {
    await using node = await world();
    await using agent = await node.startReady();
    await Bun.sleep(100);
    loseIpv6();
    await Bun.sleep(1500);
    ipv4Works();
    for (const [name, argv] of REPAIRABLE) {
      must(argv);
      const took = await timeUntil(() => expect(() => ipv4Works()).not.toThrow());
      if (took > AT_ONCE) throw new Error(`${name}: ${took} ms`);
    }
    expect((await readyz()).status).toBe(200);
    gainIpv6();
    await eventually(() => ipv6Works());
    expect(agent.running).toBe(true);
  });

  test('a device that the kernel refuses in IPv6: IPv4 works, the node is ready, the cure is told', async () => {
    await using node = await world();
    const other = ['ip', 'link', 'add', 'vx6', 'type', 'vxlan', 'id', '1', 'dstport', '8472'];
    must([...other, 'local', 'fd50::11', 'dev', 'eth0']);
    await using agent = node.start();
    await eventually(async () => expect((await readyz()).status).toBe(200));
    ipv4Works();
    await eventually(() => expect(agent.log).toContain('Device vx6 holds VNI 1'));
    await eventually(() => expect(agent.log).toContain('ip link delete vx6'));
    must(['ip', 'link', 'delete', 'vx6']);
    await eventually(() => ipv6Works());
  });

  test('the address of IPv4 changes: IPv6 stays as it is all the while', async () => {
    await using node = await world();
    await using agent = await node.startReady();
    await Bun.sleep(100);
    const index = () => /^(\d+):/.exec(must(['ip', '-o', 'link', 'show', 'flannel-v6.1']))?.[1];
    const before = index();
    must(['ip', 'addr', 'replace', '192.168.50.77/24', 'dev', 'eth0']);
    must(['ip', 'addr', 'del', '192.168.50.11/24', 'dev', 'eth0']);
    run(['ip', 'addr', 'replace', '192.168.50.77/24', 'dev', 'eth0']);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.50.1']);
    await eventually(() => {
      expect(must(['ip', '-d', 'link', 'show', 'flannel.1'])).toContain('local 192.168.50.77');
      ipv4Works();
    });
    ipv6Works();
    expect(index()).toBe(before);
    expect(agent.count('ERROR')).toBe(0);
  });
});

const V6 = '2001:cafe:42:2::';
const SIX_DAMAGES: readonly Damage[] = [
  ['link', ['ip', 'link', 'del', 'flannel-v6.1'], 'link flannel-v6.1 missing'],
  ['link down', ['ip', 'link', 'set', 'flannel-v6.1', 'down'], 'link flannel-v6.1 is down'],
  [
    'address',
    ['ip', 'addr', 'del', '2001:cafe:42:1::/128', 'dev', 'flannel-v6.1'],
    'address 2001:cafe:42:1::/128',
  ],
  ['route', ['ip', '-6', 'route', 'del', `${V6}/64`], `route ${V6}/64`],
  ['neighbour', ['ip', '-6', 'neigh', 'del', V6, 'dev', 'flannel-v6.1'], `neighbour ${V6}`],
  ['FDB', ['bridge', 'fdb', 'del', PEER.mac6, 'dev', 'flannel-v6.1'], `fdb ${PEER.mac6}`],
  ['rules', ['nft', 'delete', 'table', 'ip6', 'flannel-ipv6'], 'flannel-ipv6'],
];

describeInNetns(import.meta.path, 'IPv6 alone', () => {
  test('works without any IPv4 address, and is repaired within a second', async () => {
    await using node = await world(SIX);
    must(['ip', 'addr', 'flush', 'dev', 'eth0', 'scope', 'global']);
    must(['ip', 'addr', 'replace', 'fd50::11/64', 'dev', 'eth0', 'nodad']);
    must(['ip', '-6', 'route', 'replace', 'default', 'via', 'fd50::1']);
    await using agent = await node.startReady();
    ipv6Works();
    expect(run(['ip', 'link', 'show', 'flannel.1']).code).not.toBe(0);
    expect(node.subnetEnv()).toBe(
      'FLANNEL_IPV6_NETWORK=2001:cafe:42::/56\nFLANNEL_IPV6_SUBNET=2001:cafe:42:1::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=true\n',
    );
    await repairEach(agent, ['flannel-v6.1'], SIX_DAMAGES);
  });
});
