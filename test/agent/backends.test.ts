import { expect, test } from 'bun:test';
import { AgentWorld, N2, prefixed, readyz, type PeerSpec } from '../support/agent-world.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { routesText } from '../support/kernel-text.ts';
import { describeInNetns, kernelLacks, must, run } from '../support/netns.ts';

type Kind = 'ipv4' | 'ipv6' | 'dual';

function netConf(backend: object, kind: Kind = 'ipv4'): string {
  return JSON.stringify({
    Network: '10.244.0.0/16',
    IPv6Network: '2001:cafe:42::/56',
    EnableIPv4: kind !== 'ipv6',
    EnableIPv6: kind !== 'ipv4',
    EnableNFTables: true,
    Backend: backend,
  });
}

const HOST_GW = { Type: 'host-gw' };
const SUBNETS: Readonly<Record<Kind, readonly string[]>> = {
  ipv4: ['10.244.1.0/24'],
  ipv6: ['2001:cafe:42:1::/64'],
  dual: ['10.244.1.0/24', '2001:cafe:42:1::/64'],
};

/** Node n<n> with the backend host-gw. */
function peer(n: number): PeerSpec {
  return {
    podCidrs: [`10.244.${n}.0/24`, `2001:cafe:42:${n}::/64`],
    publicIp: `192.168.50.1${n}`,
    publicIp6: `fd50::1${n}`,
    backend: 'host-gw',
  };
}

/** Without what the kernel makes for addresses. */
function peerRoutes(): Record<string, string> {
  const { route = '', route6 = '' } = routesText();
  return { route, route6: route6.replaceAll(/^.* proto kernel .*\n?/gm, '').trim() };
}

/** Its routes in the words of `ip route`. */
function wanted(kind: Kind, ...peers: readonly number[]): Record<string, string> {
  const of = (line: (n: number) => string) => peers.map(line).join('\n');
  return {
    route: kind === 'ipv6' ? '' : of((n) => `10.244.${n}.0/24 via 192.168.50.1${n} dev eth0`),
    route6:
      kind === 'ipv4'
        ? ''
        : of((n) => `2001:cafe:42:${n}::/64 via fd50::1${n} dev eth0 metric 1024 pref medium`),
  };
}

async function hostGw(kind: Kind): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: netConf(HOST_GW, kind) });
  world.addNode('n1', { podCidrs: SUBNETS[kind] });
  for (const n of [2, 3]) world.addPeer(`n${n}`, peer(n));
  return world;
}

describeInNetns(import.meta.path, 'host-gw', () => {
  for (const kind of ['ipv4', 'ipv6', 'dual'] as const) {
    test(`${kind}: routes by way of the nodes, kept, and gone with them`, async () => {
      await using world = await hostGw(kind);
      await using agent = await world.startReady();
      expect(routesText()).toEqual(wanted(kind, 2, 3));
      expect(world.subnetEnv()).toContain('FLANNEL_MTU=1500');
      expect(world.annotation('n1', 'backend-type')).toBe('host-gw');
      expect(world.annotation('n1', 'backend-data')).toBe(kind === 'ipv6' ? undefined : 'null');
      expect(world.annotation('n1', 'backend-v6-data')).toBe(kind === 'ipv4' ? undefined : 'null');
      run(['ip', 'route', 'del', '10.244.2.0/24']);
      run(['ip', '-6', 'route', 'del', '2001:cafe:42:3::/64']);
      await eventually(() => expect(routesText()).toEqual(wanted(kind, 2, 3)));
      await eventually(() => expect(agent.count('not as planned; repaired')).toBeGreaterThan(0));
      world.api.nodes.delete('n2');
      await eventually(() => expect(routesText()).toEqual(wanted(kind, 3)));
      world.addPeer('n4', peer(4));
      await eventually(() => expect(routesText()).toEqual(wanted(kind, 3, 4)));
      expect(must(['ip', '-o', 'link', 'show', 'type', 'vxlan'])).toBe('');
      expect(agent.count('ERROR')).toBe(0);
    });
  }

  test('a peer that went while the agent was away', async () => {
    await using world = await hostGw('dual');
    await using agent = await world.startReady();
    await agent.stop('SIGKILL');
    world.api.nodes.delete('n2');
    // Not ours: nobody wrote it down.
    must(['ip', 'route', 'add', '10.244.9.0/24', 'via', '192.168.50.19']);
    await using _next = await world.startReady();
    const { route = '', route6 } = wanted('dual', 3);
    expect(routesText()).toEqual({
      route: `${route}\n10.244.9.0/24 via 192.168.50.19 dev eth0`,
      route6: route6 ?? '',
    });
    must(['ip', 'route', 'del', '10.244.9.0/24']);
  });

  test('the interface goes down and comes back: its routes, too, within a second', async () => {
    await using world = await hostGw('dual');
    await using agent = await world.startReady();
    must(['ip', 'link', 'set', 'eth0', 'down']);
    await eventually(() => expect(routesText()).toEqual({ route: '', route6: '' }));
    await Bun.sleep(300);
    must(['ip', 'link', 'set', 'eth0', 'up']);
    expect(
      await timeUntil(() => expect(routesText()['route']).toBe(wanted('dual', 2, 3)['route'] ?? '')),
    ).toBeLessThan(AT_ONCE);
    // The kernel has taken the IPv6 address away; whoever manages the interface gives it back.
    must(['ip', 'addr', 'add', 'fd50::11/64', 'dev', 'eth0', 'nodad']);
    expect(await timeUntil(() => expect(routesText()).toEqual(wanted('dual', 2, 3)))).toBeLessThan(AT_ONCE);
    await eventually(async () => expect((await readyz()).status).toBe(200));
    expect(agent.count('peer is left out')).toBe(0);
  });

  test('the interface is made anew, and gets another address', async () => {
    await using world = await hostGw('ipv4');
    await using _agent = await world.startReady();
    must(['ip', 'link', 'delete', 'eth0']);
    must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
    must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
    must(['ip', 'link', 'set', 'wire', 'up']);
    must(['ip', 'link', 'set', 'eth0', 'up']);
    must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
    await eventually(() => expect(routesText()).toEqual(wanted('ipv4', 2, 3)));
    must(['ip', 'addr', 'del', '192.168.50.11/24', 'dev', 'eth0']);
    must(['ip', 'addr', 'add', '192.168.50.77/24', 'dev', 'eth0']);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.50.1']);
    await eventually(() => {
      expect(world.annotation('n1', 'public-ip')).toBe('192.168.50.77');
      expect(routesText()).toEqual(wanted('ipv4', 2, 3));
    });
  });

  test('routes of others are left alone: other metrics, other destinations, a lease renewed by DHCP', async () => {
    await using world = await hostGw('ipv4');
    await using agent = await world.startReady();
    must(['ip', 'route', 'add', '10.244.2.0/24', 'via', '192.168.50.1', 'metric', '50']);
    must(['ip', 'route', 'add', '172.16.0.0/12', 'via', '192.168.50.1']);
    must([
      'ip',
      'addr',
      'change',
      '192.168.50.11/24',
      'dev',
      'eth0',
      'valid_lft',
      '600',
      'preferred_lft',
      '600',
    ]);
    must(['ip', 'route', 'replace', 'default', 'via', '192.168.50.1', 'proto', 'dhcp']);
    await Bun.sleep(600);
    const routes = must(['ip', 'route']);
    expect(routes).toContain('10.244.2.0/24 via 192.168.50.1 dev eth0 metric 50');
    expect(routes).toContain('10.244.2.0/24 via 192.168.50.12 dev eth0 \n');
    expect(routes).toContain('172.16.0.0/12 via 192.168.50.1 dev eth0');
    expect(agent.count('repaired')).toBe(0);
    expect(agent.count('starting over')).toBe(0);
  });

  test('a peer that is not on the link is left out until it is', async () => {
    await using world = await hostGw('ipv4');
    world.addPeer('n5', { ...peer(5), publicIp: '192.0.2.5' });
    await using agent = await world.startReady();
    expect(routesText()).toEqual(wanted('ipv4', 2, 3));
    await eventually(() => expect(agent.count('its address 192.0.2.5 is not on the link of eth0')).toBe(1));
    must(['ip', 'route', 'add', '192.0.2.0/24', 'dev', 'eth0']);
    await eventually(
      () => expect(must(['ip', 'route'])).toContain('10.244.5.0/24 via 192.0.2.5 dev eth0'),
      1500,
    );
    must(['ip', 'route', 'del', '192.0.2.0/24']);
    await eventually(() => expect(must(['ip', 'route'])).not.toContain('10.244.5.0/24'));
    expect(agent.count('ERROR')).toBe(0);
  });

  test('behind NAT it is refused, and nothing is published', async () => {
    await using world = await hostGw('ipv4');
    await using agent = world.start(['--public-ip=203.0.113.7']);
    expect(await agent.exited()).toBe(2);
    expect(agent.log).toContain(
      'host-gw does not work behind NAT: this node is to publish 203.0.113.7, but eth0 has 192.168.50.11',
    );
    await eventually(() => expect(agent.log).toContain('Take away --public-ip'));
    expect(world.annotation('n1', 'backend-type')).toBeUndefined();
  });
});

describeInNetns(import.meta.path, 'nodes with another backend', () => {
  test('vxlan, host-gw and back: what the other left goes', async () => {
    await using world = await AgentWorld.create({ netConf: netConf({ Type: 'vxlan' }, 'dual') });
    world.addNode('n1', { podCidrs: SUBNETS.dual });
    world.addPeer('n2', { ...peer(2), backend: 'vxlan', mac: N2.mac, mac6: '96:1a:97:82:a2:9e' });
    world.addPeer('n3', {
      ...peer(3),
      backend: 'vxlan',
      mac: '02:00:00:00:03:03',
      mac6: '02:00:00:00:03:06',
    });
    const devices = () => must(['ip', '-o', 'link', 'show', 'type', 'vxlan']);
    const viaTunnel = {
      route: [2, 3].map((n) => `10.244.${n}.0/24 via 10.244.${n}.0 dev flannel.1 onlink`).join('\n'),
      route6: [2, 3]
        .map(
          (n) =>
            `2001:cafe:42:${n}::/64 via 2001:cafe:42:${n}:: dev flannel-v6.1 metric 1024 onlink pref medium`,
        )
        .join('\n'),
    };
    await using agent = await world.startReady();
    expect(peerRoutes()).toEqual(viaTunnel);
    await agent.stop('SIGTERM');
    // n3 has changed already, n2 not yet.
    world.annotate(
      'n3',
      prefixed({ 'backend-type': 'host-gw', 'backend-data': 'null', 'backend-v6-data': 'null' }),
    );
    world.writeNetConf(netConf(HOST_GW, 'dual'));
    await using changed = await world.startReady();
    expect(devices()).toBe('');
    expect(peerRoutes()).toEqual(wanted('dual', 3));
    expect(changed.count('it uses backend \\"vxlan\\", this node host-gw')).toBe(1);
    world.annotate(
      'n2',
      prefixed({ 'backend-type': 'host-gw', 'backend-data': 'null', 'backend-v6-data': 'null' }),
    );
    await eventually(() => expect(peerRoutes()).toEqual(wanted('dual', 2, 3)));
    await changed.stop('SIGKILL');
    world.addPeer('n4', peer(4));
    world.api.nodes.delete('n3');
    world.writeNetConf(netConf({ Type: 'vxlan' }, 'dual'));
    await using back = await world.startReady();
    expect(peerRoutes()).toEqual({ route: '', route6: '' });
    expect(devices()).toContain('flannel-v6.1');
    for (const n of [2, 3]) {
      const mac = n === 2 ? N2.mac : '02:00:00:00:03:03';
      if (n === 3) world.addPeer('n3', { ...peer(3), backend: 'vxlan', mac, mac6: '02:00:00:00:03:06' });
      else
        world.annotate(
          'n2',
          prefixed({
            'backend-type': 'vxlan',
            'backend-data': `{"VNI":1,"VtepMAC":"${mac}"}`,
            'backend-v6-data': '{"VNI":1,"VtepMAC":"96:1a:97:82:a2:9e"}',
          }),
        );
    }
    await eventually(() => expect(peerRoutes()).toEqual(viaTunnel));
    expect(back.count('ERROR')).toBe(0);
  });

  test('devices that the original left with other backends go', async () => {
    await using world = await hostGw('ipv4');
    for (const [name, type] of [
      ['flannel-wg', 'wireguard'],
      ['flannel.ipip', 'ipip'],
    ] as const)
      if (run(['ip', 'link', 'add', name, 'type', type]).code !== 0) kernelLacks(type);
    must(['ip', 'link', 'add', 'flannel.9', 'type', 'vxlan', 'id', '9', 'dstport', '4789']);
    must(['ip', 'link', 'add', 'flannel-x', 'type', 'bridge']);
    await using agent = await world.startReady();
    const links = must(['ip', '-o', 'link']);
    expect(links).not.toMatch(/flannel-wg|flannel\.(ipip|9)/);
    expect(links).toContain('flannel-x');
    must(['ip', 'link', 'delete', 'flannel-x']);
    expect(agent.count('ERROR')).toBe(0);
  });

  test('a peer that encrypts is blocked before it is left, also over a restart, until it can be reached', async () => {
    await using world = await hostGw('dual');
    await using agent = await world.startReady();
    const blackholes = () => `${must(['ip', 'route'])}${must(['ip', '-6', 'route'])}`;
    world.annotate('n2', prefixed({ 'backend-type': 'wireguard', 'backend-data': '{"PublicKey":"x"}' }));
    const blocked = () => {
      expect(blackholes()).toContain('blackhole 10.244.2.0/24 metric 65535');
      expect(blackholes()).toContain('blackhole 2001:cafe:42:2::/64 dev lo metric 65535');
      expect(blackholes()).not.toContain('10.244.2.0/24 via');
    };
    await eventually(blocked);
    await eventually(() => expect(agent.count('it uses backend \\"wireguard\\", this node host-gw')).toBe(1));
    must(['ip', 'route', 'del', 'blackhole', '10.244.2.0/24', 'metric', '65535']);
    await eventually(blocked);
    await agent.stop('SIGKILL');
    blocked();
    await using next = await world.startReady();
    blocked();
    world.annotate('n2', prefixed({ 'backend-type': 'host-gw', 'backend-data': 'null' }));
    await eventually(() => expect(peerRoutes()).toEqual(wanted('dual', 2, 3)));
    world.annotate('n3', prefixed({ 'backend-type': 'ipsec' }));
    await eventually(() => expect(blackholes()).toContain('blackhole 10.244.3.0/24'));
    world.api.nodes.delete('n3');
    await eventually(() => expect(blackholes()).not.toContain('blackhole'));
    expect(next.count('ERROR')).toBe(0);
  });
});

describeInNetns(import.meta.path, 'alloc', () => {
  test('a subnet and a lease, rules, and nothing else', async () => {
    await using world = await AgentWorld.create({ netConf: netConf({ Type: 'alloc' }, 'dual') });
    world.addNode('n1', { podCidrs: SUBNETS.dual });
    world.addPeer('n2', peer(2));
    await using agent = await world.startReady();
    expect(routesText()).toEqual({ route: '', route6: '' });
    expect(world.annotation('n1', 'backend-type')).toBe('alloc');
    expect(world.subnetEnv()).toContain('FLANNEL_SUBNET=10.244.1.1/24');
    expect(world.subnetEnv()).toContain('FLANNEL_MTU=1500');
    expect(agent.count('WARN')).toBe(0);
    expect(agent.count('ERROR')).toBe(0);
  });
});
