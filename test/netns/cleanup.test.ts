import { expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanupMain } from '#cli/cleanup/main.ts';
import { installMain } from '#cli/install/main.ts';
import { FLANNEL_CONFLIST } from '#lab/cni/conflist.ts';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must } from '../support/netns.ts';

const RULES = new URL('../fixtures/rules/', import.meta.url).pathname;
const CONFIG = golden('vxlan-direct-routing/net-conf.json');

/** Everything that could be damaged. */
const kernel = () =>
  [
    ['ip', '-d', 'link'],
    ['ip', '-4', 'addr'],
    ['ip', 'route'],
    ['ip', '-4', 'neigh', 'show', 'nud', 'permanent'],
    ['bridge', 'fdb'],
    ['nft', 'list', 'ruleset'],
  ].map((argv) =>
    must(argv)
      .replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
      .replaceAll(/valid_lft \w+/g, '')
      .replaceAll(/_timer +[\d.]+/g, '_timer'),
  );

/** What Docker, Calico, kube-proxy and an administrator have on a node. */
function foreign(): void {
  for (const name of ['docker', 'kube-proxy'])
    must(['iptables-restore', '--noflush', `${RULES}${name}.iptables`]);
  must(['ip', 'link', 'add', 'docker0', 'type', 'bridge']);
  must(['ip', 'addr', 'add', '172.17.0.1/16', 'dev', 'docker0']);
  must(['ip', 'link', 'set', 'docker0', 'up']);
  const calico = 'ip link add vxlan.calico type vxlan id 4096 dstport 4789 dev eth0 nolearning';
  for (const command of [
    calico,
    'ip addr add 10.50.1.0/32 dev vxlan.calico',
    'ip link set vxlan.calico up',
    'ip route add 10.50.2.0/26 via 10.50.2.0 dev vxlan.calico onlink proto 80',
    'ip neigh add 10.50.2.0 lladdr 66:00:00:00:00:02 dev vxlan.calico nud permanent',
    'bridge fdb add 66:00:00:00:00:02 dev vxlan.calico dst 192.168.50.12',
    'ip route add blackhole 10.50.1.0/26 proto 80',
    'ip link add cali0123456789a type veth peer name calipeer',
    'ip link set cali0123456789a up',
    'ip route add 10.50.1.2 dev cali0123456789a scope link',
    'iptables -N cali-FORWARD',
    'iptables -A FORWARD -j cali-FORWARD',
  ])
    must(command.split(' '));
  must(['ip', 'link', 'add', 'vxlan9', 'type', 'vxlan', 'id', '9', 'dstport', '4789', 'dev', 'eth0']);
  must(['ip', 'link', 'add', 'br-other', 'type', 'bridge']);
  must(['ip', 'route', 'add', '10.99.0.0/16', 'via', '192.168.50.77']);
  must(['nft', 'add', 'table', 'ip', 'docker']);
  must(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '10.9.0.0/16', '-j', 'MASQUERADE']);
  must(['iptables', '-A', 'FORWARD', '-s', '10.0.0.0/8', '-j', 'ACCEPT']);
}

describeInNetns(import.meta.path, 'flannelctl cleanup', () => {
  test('removes what Flannel made and nothing else', async () => {
    await using world = await AgentWorld.create({ netConf: CONFIG });
    foreign();
    const before = kernel();
    const host = join(world.folder, 'host');
    const at = (...parts: readonly string[]) => join(host, ...parts);
    for (const folder of ['net.d', 'cni/flannel', 'cni/networks/cbr0', 'cni/networks/other', 'bin'])
      mkdirSync(at(folder), { recursive: true });
    writeFileSync(at('program'), 'ours');
    writeFileSync(at('bin/bridge'), "somebody's");
    writeFileSync(at('conflist'), JSON.stringify(FLANNEL_CONFLIST));
    writeFileSync(at('net.d/05-other.conflist'), '{}');
    writeFileSync(at('net.d/10-calico.conflist'), '{"name":"k8s-pod-network","plugins":[{"type":"calico"}]}');
    for (const name of ['calico', 'calico-ipam']) writeFileSync(at('bin', name), "somebody's");
    writeFileSync(at('cni/networks/cbr0/10.244.1.2'), 'x');
    const folders = ['--bin-dir', at('bin'), '--conf-dir', at('net.d')];
    await installMain([...folders, '--conf-file', at('conflist')], { source: at('program'), say: () => {} });
    const args = [...folders, '--cni-dir', at('cni'), '--run-dir', join(world.folder, 'run')];
    const lines: string[] = [];
    const cleanup = (...more: readonly string[]) =>
      cleanupMain([...args, ...more], (line) => void lines.push(line.replaceAll(world.folder, '')));

    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    // One peer behind a route of its own (DirectRouting), one behind the tunnel.
    world.addPeer('n2', N2);
    world.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: '10.9.9.9', mac: 'ba:35:f7:c1:34:9b' });
    {
      await using agent = await world.startReady(['--ip-blackhole-route']);
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 192.168.50.12 dev eth0');
      expect(must(['ip', 'route'])).toContain('blackhole 10.244.1.0/24');
      await agent.stop('SIGTERM');
      await using running = Bun.spawn(['sleep', '60'], { argv0: '/opt/bin/flanneld', stderr: 'ignore' });
      // Its parent goes on a moment before the kernel knows its new command line.
      const commandLine = () => readFileSync(`/proc/${running.pid}/cmdline`, 'utf8');
      await eventually(() => expect(commandLine()).toStartWith('/opt/bin/flanneld'));
      expect(await cleanup().catch(String)).toContain(`flanneld runs (process ${running.pid})`);
    }
    must(['ip', 'link', 'add', 'cni0', 'type', 'bridge']);
    must(['ip', 'link', 'add', 'pod', 'type', 'veth', 'peer', 'name', 'podpeer']);
    must(['ip', 'link', 'set', 'pod', 'master', 'cni0']);
    expect(await cleanup().catch(String)).toContain('1 pods are on cni0');
    must(['ip', 'link', 'del', 'pod']);

    const full = kernel();
    expect(await cleanup('--dry-run')).toBe(0);
    expect(kernel()).toEqual(full);
    expect(existsSync(at('net.d/10-flannel.conflist'))).toBe(true);
    const announced = lines.splice(0).map((line) => line.replace('would remove ', 'removed '));
    expect(announced).toContain('removed link cni0');

    // One that was killed behind its first step: what the conflist named is found in what the plugin keeps of its pods.
    writeFileSync(at('cni/flannel/0123'), '{"name":"cbr0","type":"bridge"}');
    writeFileSync(at('cni/flannel/torn'), '{"na');
    const conflist = readFileSync(at('net.d/10-flannel.conflist'));
    rmSync(at('net.d/10-flannel.conflist'));
    await cleanup('--dry-run');
    expect(lines.splice(0).map((line) => line.replace('would remove ', 'removed '))).toEqual(
      announced.slice(1),
    );
    writeFileSync(at('net.d/10-flannel.conflist'), conflist);

    expect(await cleanup()).toBe(0);
    expect(kernel()).toEqual(before);
    expect(readdirSync(at('bin')).toSorted()).toEqual(['bridge', 'calico', 'calico-ipam']);
    expect(readFileSync(at('bin/bridge'), 'utf8')).toBe("somebody's");
    expect(readdirSync(at('net.d')).toSorted()).toEqual(['05-other.conflist', '10-calico.conflist']);
    expect(readdirSync(at('cni/networks'))).toEqual(['other']);
    expect(existsSync(join(world.folder, 'run'))).toBe(false);
    // First, so that no pod starts on a network that is going; the agent's record of its routes after the routes.
    const said = lines.splice(0);
    expect(said).toEqual(announced);
    expect(said[0]).toBe('removed /host/net.d/10-flannel.conflist');
    expect(said.indexOf('removed /run')).toBeGreaterThan(said.indexOf('removed link cni0'));

    expect(await cleanup()).toBe(0);
    expect(lines.splice(0)).toEqual([]);
    expect(kernel()).toEqual(before);
  });
});
