import { expect, test } from 'bun:test';
import { addPod, callPlugin, errorOf, must, NodeFiles } from '../../support/cni.ts';
import { describeInNetns, must as exec, NamedNetns, run } from '../../support/netns.ts';

const MAPPINGS = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 8053, containerPort: 53, protocol: 'udp' },
];

function rules(): string {
  return ['nft list ruleset', 'iptables-save', 'ip6tables-save']
    .map((command) => run(command.split(' ')).stdout)
    .join('\n');
}

/** As if the Go plugin had written the rules: nft drops what it does not know. */
function forgetNetworks(family: string): void {
  const table = exec(['nft', '-s', 'list', 'table', family, 'cni_hostport']);
  exec(['nft', 'delete', 'table', family, 'cni_hostport']);
  expect(Bun.spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(table) }).exitCode).toBe(0);
}

describeInNetns(import.meta.path, 'flannel alone in its list, with the capability portMappings', () => {
  const runtimeConfig = { portMappings: MAPPINGS };

  for (const backend of ['nftables', 'iptables']) {
    test(`ADD, CHECK, DEL and GC do the ports, too: ${backend}`, async () => {
      using node = new NodeFiles();
      using pod = NamedNetns.create('pmap');
      node.writeSubnetEnv();
      const config = node.flannelConfig({ runtimeConfig, portmap: { backend } });
      const call = { containerId: 'whole', netns: pod.path, config };
      const prevResult = await addPod('flannel', call);
      expect(rules()).toContain('8080');
      const check = { ...call, command: 'CHECK', config: { ...config, prevResult } };
      await must('flannel', check);
      // Without the capability's argument: what ADD kept says it.
      const silent = node.flannelConfig({ portmap: { backend } });
      const flush =
        backend === 'nftables'
          ? 'nft flush chain ip cni_hostport hostports'
          : 'iptables -t nat -F CNI-HOSTPORT-DNAT';
      expect(run(flush.split(' ')).code).toBe(0);
      expect((await callPlugin('flannel', check)).code).toBe(1);
      const quiet = { ...check, config: { ...silent, prevResult } };
      expect(errorOf((await callPlugin('flannel', quiet)).stdout).msg).toStartWith('CHECK: ');
      await must('flannel', { ...call, command: 'DEL', config: silent });
      expect(rules()).not.toContain('8053');
      expect(rules()).not.toContain('whole');
      expect(node.reservations()).toEqual([]);

      await addPod('flannel', call);
      const gone = { ...silent, cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
      await must('flannel', { ...call, command: 'GC', config: gone });
      expect(rules()).not.toContain('8053');
      expect(node.reservations()).toEqual([]);
      await must('flannel', { ...call, command: 'DEL' });
    });
  }

  test('GC of rules that do not say their network: those of our dead, and no others', async () => {
    using node = new NodeFiles();
    using dead = NamedNetns.create('pmap');
    using living = NamedNetns.create('pmap');
    node.writeSubnetEnv();
    const ports = (hostPort: number) => ({
      portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }],
    });
    const add = async (containerId: string, netns: string, hostPort: number) => {
      const portmap = { backend: 'nftables' };
      const config = node.flannelConfig({ runtimeConfig: ports(hostPort), portmap });
      await addPod('flannel', { containerId, netns, config });
    };
    await add('dead', dead.path, 8080);
    await add('living', living.path, 8081);
    for (const family of ['ip', 'ip6']) forgetNetworks(family);
    // The same container in another network; a container of another network.
    for (const [port, address, comment] of [
      [8082, '10.99.0.5', 'dead'],
      [8083, '10.99.0.6', 'foreign'],
    ] as const) {
      const rule = `tcp dport ${port} dnat to ${address}:80 comment "${comment}"`;
      exec(['nft', 'add', 'rule', 'ip', 'cni_hostport', 'hostports', ...rule.split(' ')]);
    }
    const valid = [{ containerID: 'living', ifname: 'eth0' }];
    const config = node.flannelConfig({ cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid });
    await must('flannel', { command: 'GC', containerId: '', netns: '', config });
    const left = rules();
    expect([8080, 8081, 8082, 8083].filter((port) => left.includes(`dport ${port} dnat`))).toEqual([
      8081, 8082, 8083,
    ]);
    // Of the masquerading ones as well.
    expect(left.match(/comment "dead"/g)).toHaveLength(1);
    for (const containerId of ['dead', 'living', 'foreign'])
      await must('flannel', {
        command: 'DEL',
        containerId,
        netns: '',
        config: node.flannelConfig({ runtimeConfig: ports(1) }),
      });
    expect(rules()).not.toContain(' dnat to ');
  });

  test('ports that cannot be mapped: the pod is taken back', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('pmap');
    node.writeSubnetEnv();
    const portmap = { backend: 'nftables', conditionsV4: ['tcp', 'flags', 'syn'] };
    const config = node.flannelConfig({ runtimeConfig, portmap });
    const failed = await callPlugin('flannel', { command: 'ADD', containerId: 'p', netns: pod.path, config });
    expect(errorOf(failed.stdout)).toMatchObject({ code: 2 });
    expect(node.reservations()).toEqual([]);
    expect(pod.exec(['ip', '-o', 'link'])).not.toContain('eth0');
    expect(rules()).not.toContain('8080');
  });

  test('without mappings no rule is made', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('pmap');
    node.writeSubnetEnv();
    const before = rules();
    const call = { containerId: 'plain', netns: pod.path, config: node.flannelConfig() };
    await addPod('flannel', call);
    expect(rules().replaceAll(/#.*/g, '')).toBe(before.replaceAll(/#.*/g, ''));
    await must('flannel', { ...call, command: 'DEL' });
  });
});
