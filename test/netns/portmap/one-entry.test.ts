import { expect, test } from 'bun:test';
import { addPod, callPlugin, errorOf, must, NodeFiles } from '../../support/cni.ts';
import { describeInNetns, NamedNetns, run } from '../../support/netns.ts';

const MAPPINGS = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 8053, containerPort: 53, protocol: 'udp' },
];

function rules(): string {
  return ['nft list ruleset', 'iptables-save', 'ip6tables-save']
    .map((command) => run(command.split(' ')).stdout)
    .join('\n');
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
