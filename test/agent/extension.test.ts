import { expect, test } from 'bun:test';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { AgentWorld, N2, prefixed } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { routesText } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

function netConf(commands: Readonly<Record<string, string>>): string {
  return JSON.stringify({
    Network: '10.244.0.0/16',
    EnableNFTables: true,
    Backend: { Type: 'extension', ...commands },
  });
}

/** host-gw as the original's documentation writes it. */
const HOST_GW = {
  SubnetAddCommand: 'ip route add $SUBNET via $PUBLIC_IP',
  SubnetRemoveCommand: 'ip route del $SUBNET via $PUBLIC_IP',
};

const peer = (n: number, data = '') => ({
  podCidrs: [`10.244.${n}.0/24`],
  annotations: prefixed({
    'kube-subnet-manager': 'true',
    'backend-type': 'extension',
    'backend-data': data,
    'public-ip': `192.168.50.1${n}`,
  }),
});

const routes = (...peers: readonly number[]) =>
  peers.map((n) => `10.244.${n}.0/24 via 192.168.50.1${n} dev eth0`).join('\n');

/** The documentation's vxlan in scripts: what a shell is needed for. Without /sys, which is another namespace's here. */
const SCRIPTS = {
  pre: 'ip link del flannel-vxlan 2>/dev/null; ip link add flannel-vxlan type vxlan id 1 dstport 8472 && ip -br link show flannel-vxlan | { read name state mac rest; echo $mac; }',
  post: 'ip addr add ${SUBNET%/*}/32 dev flannel-vxlan && ip link set flannel-vxlan up && echo "$NETWORK $SUBNET $PUBLIC_IP" > "${0%/*}/post.out"',
  add: 'read VTEP; ip route add $SUBNET nexthop via ${SUBNET%/*} dev flannel-vxlan onlink && ip neigh add ${SUBNET%/*} lladdr $VTEP dev flannel-vxlan && bridge fdb add $VTEP dev flannel-vxlan self dst $PUBLIC_IP',
};

describeInNetns(import.meta.path, 'extension', () => {
  test("the documentation's host-gw: peers come, change, go; a restart makes up for what was missed", async () => {
    await using world = await AgentWorld.create({ netConf: netConf(HOST_GW) });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addNode('n2', peer(2));
    world.addNode('n3', peer(3));
    await using agent = await world.startReady();
    await eventually(() => expect(routesText()['route']).toBe(routes(2, 3)));
    expect(world.annotation('n1', 'backend-type')).toBe('extension');
    expect(world.annotation('n1', 'backend-data')).toBe('');
    expect(world.subnetEnv()).toContain('FLANNEL_MTU=1500');
    world.annotate('n3', prefixed({ 'public-ip': '192.168.50.19' }));
    await eventually(() => expect(routesText()['route']).toContain('10.244.3.0/24 via 192.168.50.19'));
    world.annotate('n3', prefixed({ 'public-ip': '192.168.50.13' }));
    await eventually(() => expect(routesText()['route']).toBe(routes(2, 3)));
    expect(agent.count('WARN')).toBe(0);
    await Bun.sleep(300);
    await agent.stop('SIGKILL');
    world.api.nodes.delete('n3');
    world.addNode('n4', peer(4));
    await using next = await world.startReady();
    await eventually(() => expect(routesText()['route']).toBe(routes(2, 4)));
    // The route to n2 is there already: told, not tried again and again.
    await eventually(() => expect(next.count('a command failed')).toBe(1));
    await eventually(() =>
      expect(next.log).toContain('SubnetAddCommand: exit code 2: RTNETLINK answers: File exists'),
    );
    world.api.nodes.delete('n2');
    await eventually(() => expect(routesText()['route']).toBe(routes(4)));
    for (const n of [4]) must(['ip', 'route', 'del', `10.244.${n}.0/24`]);
  });

  test("the documentation's vxlan, by scripts", async () => {
    await using world = await AgentWorld.create({ netConf: '{}' });
    const commands: Record<string, string> = {};
    for (const [key, name] of [
      ['PreStartupCommand', 'pre'],
      ['PostStartupCommand', 'post'],
      ['SubnetAddCommand', 'add'],
    ] as const) {
      const path = `${world.folder}/${name}`;
      writeFileSync(path, `#!/bin/sh\n${SCRIPTS[name]}\n`, { mode: 0o755 });
      commands[key] = path;
    }
    world.writeNetConf(netConf(commands));
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addNode('n2', peer(2, `"${N2.mac}"`));
    await using agent = await world.startReady();
    await eventually(() => {
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel-vxlan onlink');
      expect(must(['bridge', 'fdb', 'show', 'dev', 'flannel-vxlan'])).toContain(
        `${N2.mac} dst 192.168.50.12`,
      );
    });
    const [, mac = ''] = /link\/ether (\S+)/.exec(must(['ip', 'link', 'show', 'flannel-vxlan'])) ?? [];
    expect(world.annotation('n1', 'backend-data')).toBe(`"${mac}"`);
    expect(readFileSync(`${world.folder}/post.out`, 'utf8')).toBe(
      '10.244.0.0/16 10.244.1.0/24 192.168.50.11\n',
    );
    await agent.stop('SIGTERM');
    await using _next = await world.startReady();
    await eventually(() => expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0'));
    must(['ip', 'link', 'del', 'flannel-vxlan']);
    expect(agent.count('ERROR')).toBe(0);
  });

  test('a hostile peer reaches no command, and the others work', async () => {
    await using world = await AgentWorld.create({
      netConf: netConf({ ...HOST_GW, SubnetAddCommand: 'ip route add $SUBNET via "$PUBLIC_IP"' }),
    });
    const bait = `${world.folder}/bait`;
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    world.addNode('n2', peer(2));
    world.addNode('n3', peer(3, `"\\u0000$(touch ${bait})"`));
    const evil = peer(4);
    const publicIp = prefixed({ 'public-ip': `192.168.50.14; touch ${bait}` });
    world.addNode('n4', { ...evil, annotations: { ...evil.annotations, ...publicIp } });
    await using agent = await world.startReady();
    await eventually(() => expect(routesText()['route']).toBe(routes(2)));
    await eventually(() =>
      expect(agent.log).toContain('backend-data is not a JSON string of printable text'),
    );
    expect(existsSync(bait)).toBe(false);
    must(['ip', 'route', 'del', '10.244.2.0/24']);
  });

  test('a PreStartupCommand that fails is waited for; a command that needs a shell is refused', async () => {
    await using world = await AgentWorld.create({ netConf: '{}' });
    world.writeNetConf(netConf({ PreStartupCommand: `cat ${world.folder}/key` }));
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('PreStartupCommand: exit code 1: cat: '));
    expect(world.annotation('n1', 'backend-type')).toBeUndefined();
    writeFileSync(`${world.folder}/key`, 'public\n');
    await eventually(() => expect(world.annotation('n1', 'backend-data')).toBe('"public"'));
    await agent.stop('SIGTERM');
    world.writeNetConf(netConf({ PreStartupCommand: 'a; b' }));
    await using refused = world.start();
    expect(await refused.exited()).toBe(2);
    expect(refused.log).toContain('Backend.PreStartupCommand: has ";" outside of quotes');
    expect(refused.log).toContain('Put the commands into a script');
  });

  test('from vxlan to extension: the device goes, and one that a command makes under its name stays', async () => {
    const vxlan = '{"Network":"10.244.0.0/16","EnableNFTables":true,"Backend":{"Type":"vxlan"}}';
    await using world = await AgentWorld.create({ netConf: vxlan });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await using agent = await world.startReady();
    await agent.stop('SIGTERM');
    world.writeNetConf(netConf({ PreStartupCommand: 'ip link add flannel.1 type vxlan id 1 dstport 4789' }));
    await using next = await world.startReady();
    await Bun.sleep(200);
    expect(must(['ip', '-d', 'link', 'show', 'flannel.1'])).toContain('dstport 4789');
    expect(next.count('ERROR')).toBe(0);
    must(['ip', 'link', 'del', 'flannel.1']);
  });
});
