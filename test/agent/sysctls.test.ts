import { expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns, kernelLacks, must } from '../support/netns.ts';

const DUAL = golden('vxlan-dual-nftables/net-conf.json');
const PEER = {
  ...N2,
  podCidrs: ['10.244.2.0/24', '2001:cafe:42:2::/64'],
  publicIp6: 'fd50::12',
  mac6: '96:1a:97:82:a2:9e',
};

function sysctl(path: string): string {
  return readFileSync(`/proc/sys/net/${path}`, 'utf8').trim();
}

function set(path: string, value: string): void {
  writeFileSync(`/proc/sys/net/${path}`, value);
}

async function world(netConf: string): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
  made.addPeer('n2', PEER);
  return made;
}

describeInNetns(import.meta.path, 'kernel settings that pods need', () => {
  test('forwarding and accept_ra: set at start, put back within a second', async () => {
    set('ipv4/ip_forward', '0');
    set('ipv6/conf/all/forwarding', '0');
    await using node = await world(DUAL);
    await using agent = await node.startReady();
    const wanted = [
      ['ipv4/ip_forward', '1'],
      ['ipv6/conf/all/forwarding', '1'],
      ['ipv6/conf/flannel.1/accept_ra', '0'],
      ['ipv6/conf/flannel-v6.1/accept_ra', '0'],
    ] as const;
    for (const [path, value] of wanted) {
      expect([path, sysctl(path)]).toEqual([path, value]);
      set(path, value === '1' ? '0' : '1');
      const took = await timeUntil(() => expect([path, sysctl(path)]).toEqual([path, value]));
      expect(took).toBeLessThan(AT_ONCE);
    }
    // A full pass may find accept_ra first.
    for (const name of ['ipv4.ip_forward', 'ipv6.conf.all.forwarding'])
      await eventually(() => expect(agent.count(`put back sysctl=net.${name}`)).toBe(1));
    // A host that has its default route from a router still listens to it.
    expect(sysctl('ipv6/conf/eth0/accept_ra')).toBe('2');
    expect(agent.count('ERROR')).toBe(0);
  });

  test('IPv6 switched off on the overlay device: on again, with address, neighbours and routes', async () => {
    await using node = await world(DUAL);
    await using agent = await node.startReady();
    await Bun.sleep(100);
    const sound = overlayState(['flannel.1', 'flannel-v6.1']);
    set('ipv6/conf/flannel-v6.1/disable_ipv6', '1');
    const back = () => expect(overlayState(['flannel.1', 'flannel-v6.1'])).toEqual(sound);
    expect(await timeUntil(back)).toBeLessThan(AT_ONCE);
    expect(sysctl('ipv6/conf/flannel-v6.1/disable_ipv6')).toBe('0');
    await eventually(() => expect(agent.log).toContain('disable_ipv6 of flannel-v6.1 was not 0'));
    expect(agent.count('ERROR')).toBe(0);
  });

  test('IPv6 off by default: a new overlay device has it all the same', async () => {
    await using node = await world(DUAL);
    await using agent = await node.startReady();
    set('ipv6/conf/default/disable_ipv6', '1');
    must(['ip', 'link', 'delete', 'flannel-v6.1']);
    const address = () =>
      expect(must(['ip', 'addr', 'show', 'flannel-v6.1'])).toContain('2001:cafe:42:1::/128');
    expect(await timeUntil(() => address())).toBeLessThan(AT_ONCE);
    expect(agent.count('ERROR')).toBe(0);
    set('ipv6/conf/default/disable_ipv6', '0');
  });

  test('br_netfilter switched off in iptables mode: on again', async () => {
    const path = 'bridge/bridge-nf-call-iptables';
    await using node = await world(golden('vxlan-iptables/net-conf.json'));
    try {
      set(path, '0');
    } catch {
      kernelLacks('br_netfilter');
      return;
    }
    await using agent = await node.startReady();
    expect(sysctl(path)).toBe('1');
    set(path, '0');
    await eventually(() => expect(sysctl(path)).toBe('1'));
    await eventually(() => expect(agent.log).toContain('put back sysctl=net.bridge.bridge-nf-call-iptables'));
  });
});
