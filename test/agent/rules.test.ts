import { expect, test } from 'bun:test';
import { AgentWorld } from '../support/agent-world.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must } from '../support/netns.ts';

const EXCLUDE = '10.0.0.0/8,fd00::/8';
const NODE = { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] };

describeInNetns(import.meta.path, 'rules by flags', () => {
  test('excluded networks, from the environment, in both families', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-dual-nftables/net-conf.json') });
    world.addNode('n1', NODE);
    await using agent = await world.startReady([], { env: { FLANNELD_IP_MASQ_EXCLUDE: EXCLUDE } });
    const rules = must(['nft', 'list', 'ruleset']);
    expect(rules).toContain('ip saddr 10.244.0.0/16 ip daddr 10.0.0.0/8 return');
    expect(rules).toContain('ip6 saddr 2001:cafe:42::/56 ip6 daddr fd00::/8 return');
    expect(agent.count('WARN')).toBe(0);
  });

  test('a family that is off is a warning; with iptables the log says which and why', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-iptables/net-conf.json') });
    world.addNode('n1', NODE);
    must(['iptables-nft', '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT']);
    await using agent = await world.startReady([`--ip-masq-exclude=${EXCLUDE}`]);
    expect(must(['iptables-nft-save'])).toContain('-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.0.0.0/8 ');
    expect(agent.log).toContain('--ip-masq-exclude names networks of a family that is off networks=fd00::/8');
    expect(agent.log).toContain('program="iptables-nft (chain KUBE-IPTABLES-HINT)"');
  });

  test("a node inside the pod network leaves its overlay's packets alone", async () => {
    const netConf = JSON.stringify({ Network: '192.168.0.0/16', EnableNFTables: true });
    await using world = await AgentWorld.create({ netConf });
    world.addNode('n1', { podCidrs: ['192.168.1.0/24'] });
    await using _ = await world.startReady();
    expect(must(['nft', 'list', 'ruleset'])).toContain('ip saddr 192.168.50.11 udp dport 8472 return');
  });

  test('a firewall that drops is named', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-dual-nftables/net-conf.json') });
    world.addNode('n1', NODE);
    must(['iptables-nft', '-P', 'FORWARD', 'DROP']);
    await using agent = await world.startReady();
    expect(agent.log).toContain(
      'found="chain FORWARD of table ip filter" cure="accept the pod network there',
    );
  });
});
