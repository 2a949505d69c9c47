import { expect, test } from 'bun:test';
import { addPod, callPlugin, errorOf, must, NodeFiles, REFERENCE } from '../support/cni.ts';
import { describeInNetns, must as exec, NamedNetns, run } from '../support/netns.ts';

const V4 = { ranges: [[{ subnet: '10.244.1.0/24' }]] };

function configOf(node: NodeFiles, extra: object = {}): object {
  const ipam = { type: 'host-local', dataDir: `${node.dir}/networks`, ...V4 };
  return node.bridgeConfig({ cniVersion: '1.1.0', ipam, macspoofchk: true, ...extra });
}

/** Table bridge nat without what differs from run to run. */
function rules(): string[] {
  const { stdout } = run(['nft', 'list', 'table', 'bridge', 'nat']);
  return stdout
    .split('\n')
    .map((line) => line.trim().replace(/veth[0-9a-f]+/, 'veth'))
    .filter((line) => line !== '' && line !== '}');
}

const EMPTY = [
  'table bridge nat {',
  'chain PREROUTING {',
  'type filter hook prerouting priority dstnat; policy accept;',
];

describeInNetns(import.meta.path, 'macspoofchk', () => {
  const MAC = '02:11:22:33:44:55';

  test('frames with a forged source address do not pass, others do; rules come, are checked and go', async () => {
    using node = new NodeFiles();
    using a = NamedNetns.create('spoof');
    using b = NamedNetns.create('spoof');
    const call = { containerId: 'a', netns: a.path, config: configOf(node), args: `MAC=${MAC}` };
    const prevResult = await addPod('bridge', call);
    await addPod('bridge', {
      containerId: 'b',
      netns: b.path,
      config: configOf(node, { macspoofchk: false }),
    });
    expect(rules()).toEqual([
      ...EMPTY,
      'iifname "veth" jump cni-br-iface-a-eth0 comment "macspoofchk-a-eth0"',
      'chain cni-br-iface-a-eth0 {',
      'jump cni-br-iface-a-eth0-mac comment "macspoofchk-a-eth0"',
      'chain cni-br-iface-a-eth0-mac {',
      `ether saddr ${MAC} return comment "macspoofchk-a-eth0"`,
      'drop comment "macspoofchk-a-eth0"',
    ]);
    const ping = (target: string) =>
      run(['ip', 'netns', 'exec', a.name, 'ping', '-c1', '-W1', target]).code === 0;
    expect([ping('10.244.1.3'), ping('10.244.1.1')]).toEqual([true, true]);
    a.exec(['ip', 'link', 'set', 'eth0', 'address', '02:66:66:66:66:66']);
    expect([ping('10.244.1.3'), ping('10.244.1.1')]).toEqual([false, false]);
    // The other pod may use any address: it did not ask for the check.
    b.exec(['ip', 'link', 'set', 'eth0', 'address', '02:66:66:66:66:66']);
    a.exec(['ip', 'link', 'set', 'eth0', 'address', MAC]);
    a.exec(['ip', 'neigh', 'flush', 'all']);
    expect([ping('10.244.1.3'), ping('10.244.1.1')]).toEqual([true, true]);

    const check = { ...call, command: 'CHECK', config: configOf(node, { prevResult }) };
    await must('bridge', check);
    exec(['nft', 'flush', 'chain', 'bridge', 'nat', 'cni-br-iface-a-eth0-mac']);
    expect(errorOf((await callPlugin('bridge', check)).stdout).msg).toContain('forged MAC addresses');
    await must('bridge', { ...call, command: 'DEL' });
    expect(rules()).toEqual(EMPTY);
    await must('bridge', { ...call, command: 'DEL' });
  });

  test('GC sweeps the rules of dead containers, whoever made them, and nothing else', async () => {
    using node = new NodeFiles();
    using a = NamedNetns.create('spoof');
    using dead = NamedNetns.create('spoof');
    const config = configOf(node);
    await addPod('bridge', { containerId: 'a', netns: a.path, config });
    await addPod('bridge', { containerId: 'dead', netns: dead.path, config });
    await addPod('bridge', {
      containerId: 'other',
      netns: dead.path,
      ifName: 'eth1',
      config: configOf(node, { name: 'another', bridge: 'cni1', ipam: undefined }),
    });
    exec(['nft', 'add', 'chain', 'bridge', 'nat', 'theirs']);
    exec(['nft', 'add', 'rule', 'bridge', 'nat', 'PREROUTING', 'iifname', 'nobody', 'jump', 'theirs']);
    exec(['nft', 'add', 'chain', 'bridge', 'nat', 'cni-br-iface-old-eth0']);
    exec(['nft', 'add', 'chain', 'bridge', 'nat', 'cni-br-iface-old-eth0-mac']);
    exec([
      'nft',
      'add',
      'rule',
      'bridge',
      'nat',
      'cni-br-iface-old-eth0',
      'jump',
      'cni-br-iface-old-eth0-mac',
    ]);
    exec(
      'nft add rule bridge nat PREROUTING iifname vethgone jump cni-br-iface-old-eth0 comment "macspoofchk-old"'.split(
        ' ',
      ),
    );
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] };
    await must('bridge', { command: 'GC', containerId: '', netns: '', config: { ...config, ...valid } });
    expect(rules().filter((line) => line.includes('jump'))).toEqual([
      'iifname "veth" jump cni-br-iface-a-eth0 comment "macspoofchk-a-eth0"',
      'iifname "veth" jump cni-br-iface-other-eth1 comment "macspoofchk-other-eth1"',
      'iifname "nobody" jump theirs',
      'jump cni-br-iface-a-eth0-mac comment "macspoofchk-a-eth0"',
      'jump cni-br-iface-other-eth1-mac comment "macspoofchk-other-eth1"',
    ]);
    expect(exec(['nft', 'list', 'table', 'bridge', 'nat'])).not.toMatch(/dead|old/);
  });

  test('a failed ADD leaves no rule; crossed lives with the original, both ways', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('spoof');
    exec(['nft', 'flush', 'ruleset']);
    // The route cannot be made: the kernel refuses at the very end.
    const ipam = {
      type: 'host-local',
      dataDir: `${node.dir}/networks`,
      ...V4,
      routes: [{ dst: '10.0.0.0/8', gw: '192.0.2.1' }],
    };
    const call = { containerId: 'p', netns: pod.path, config: configOf(node, { ipam }) };
    expect((await callPlugin('bridge', { ...call, command: 'ADD' })).code).toBe(1);
    expect(rules()).toEqual(EMPTY);
    const config = configOf(node, { cniVersion: '1.0.0' });
    const theirs = `${REFERENCE}/bridge`;
    for (const [first, second] of [
      [theirs, 'bridge'],
      ['bridge', theirs],
    ] as const) {
      const prevResult = await addPod(first, { ...call, config });
      expect(rules().join('\n')).toContain('jump cni-br-iface-p-eth0-mac');
      const again = { ...call, config: { ...config, prevResult } };
      await must(second, { ...again, command: 'CHECK' });
      await must(second, { ...again, command: 'DEL' });
      expect([first, rules()]).toEqual([first, EMPTY]);
    }
  });
});
