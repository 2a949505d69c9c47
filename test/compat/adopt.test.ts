import { expect, test } from 'bun:test';
import { AgentWorld, peerAnnotations, prefixed } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { KernelReports } from '../support/kernel-reports.ts';
import { deviceText, routesText, rulesText } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

interface Device {
  readonly name: string;
  readonly local: string;
  readonly mtu: string;
  readonly mac: string;
  readonly address: string;
  readonly peer: {
    readonly mac: string;
    readonly dst: string;
    readonly gateway: string;
    readonly subnet: string;
  };
}

const V4: Device = {
  name: 'flannel.1',
  local: '192.168.50.11',
  mtu: '1450',
  mac: 'ce:13:be:ae:4d:53',
  address: '10.244.1.0/32',
  peer: { mac: 'ba:35:f7:c1:34:9a', dst: '192.168.50.12', gateway: '10.244.2.0', subnet: '10.244.2.0/24' },
};

const V6: Device = {
  name: 'flannel-v6.1',
  local: 'fd50::11',
  mtu: '1430',
  mac: '96:bc:d3:54:a7:ca',
  address: '2001:cafe:42:1::/128',
  peer: {
    mac: '96:1a:97:82:a2:9e',
    dst: 'fd50::12',
    gateway: '2001:cafe:42:2::',
    subnet: '2001:cafe:42:2::/64',
  },
};

/** What the original leaves of one device, made with iproute2. */
function makeDevice({ name, local, mtu, mac, address, peer }: Device): void {
  const vxlan = ['type', 'vxlan', 'id', '1', 'local', local, 'dev', 'eth0', 'dstport', '8472', 'nolearning'];
  must(['ip', 'link', 'add', name, 'address', mac, 'mtu', mtu, ...vxlan]);
  must(['ip', 'addr', 'add', address, 'dev', name]);
  must(['ip', 'link', 'set', name, 'up']);
  must(['ip', 'neigh', 'replace', peer.gateway, 'lladdr', peer.mac, 'nud', 'permanent', 'dev', name]);
  must(['bridge', 'fdb', 'replace', peer.mac, 'dst', peer.dst, 'dev', name, 'self', 'permanent']);
  must(['ip', 'route', 'replace', peer.subnet, 'via', peer.gateway, 'dev', name, 'onlink']);
}

async function load(argv: readonly string[], text: string): Promise<void> {
  const child = Bun.spawn([...argv], { stdin: Buffer.from(text), stdout: 'ignore', stderr: 'pipe' });
  const said = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${argv.join(' ')}: ${said}`);
}

interface Case {
  readonly folder: string;
  readonly devices: readonly Device[];
  readonly rules: readonly string[];
  readonly file: string;
}

const CASES: readonly Case[] = [
  { folder: 'vxlan-nftables', devices: [V4], rules: ['nft', '-f', '-'], file: 'nft' },
  { folder: 'vxlan-dual-nftables', devices: [V4, V6], rules: ['nft', '-f', '-'], file: 'nft' },
  { folder: 'vxlan-iptables', devices: [V4], rules: ['iptables-restore'], file: 'iptables-save' },
];

describeInNetns(import.meta.path, 'a node of the original is taken over without a single change', () => {
  for (const { folder, devices, rules, file } of CASES) {
    test(folder, async () => {
      await using world = await AgentWorld.create({ netConf: golden(`${folder}/net-conf.json`) });
      const dual = devices.length > 1;
      const data = (mac: string) => `{"VNI":1,"VtepMAC":"${mac}"}`;
      const own = {
        'backend-type': 'vxlan',
        'backend-data': data(V4.mac),
        'backend-v6-data': data(V6.mac),
      };
      const podCidrs = (n: number) => [`10.244.${n}.0/24`, ...(dual ? [`2001:cafe:42:${n}::/64`] : [])];
      world.addNode('n1', { podCidrs: podCidrs(1), annotations: prefixed(own) });
      const n2 = { podCidrs: podCidrs(2), publicIp: V4.peer.dst, mac: V4.peer.mac };
      world.addNode('n2', {
        podCidrs: n2.podCidrs,
        annotations: peerAnnotations({ ...n2, publicIp6: V6.peer.dst, mac6: V6.peer.mac }),
      });
      // As on every node that forwards: the kernel then has anycast addresses on these devices.
      must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
      for (const device of devices) makeDevice(device);
      await load(rules, golden(`${folder}/${file}.txt`));
      await eventually(() => expect(must(['ip', '-6', 'addr'])).not.toContain('tentative'));
      const state = () => ({
        ...routesText(),
        ...rulesText(),
        devices: devices.map(({ name }) => deviceText(name)),
      });
      const before = state();
      await using reports = new KernelReports();
      await reports.working();
      const seen = reports.lines().length;
      await using agent = await world.startReady();
      await Bun.sleep(300);
      expect(reports.lines().slice(seen)).toEqual([]);
      expect(state()).toEqual(before);
      expect(agent.count('WARN')).toBe(0);
    });
  }

  test('rules of the original in the other mode go', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-nftables/net-conf.json') });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    await load(['iptables-restore'], golden('vxlan-iptables/iptables-save.txt'));
    expect(rulesText()['iptables-save']).toContain('FLANNEL');
    await using _agent = await world.startReady();
    expect(rulesText()['iptables-save']).not.toContain('FLANNEL');
    expect(rulesText()['nft']).toContain('table ip flannel-ipv4');
  });
});
