import { expect, test } from 'bun:test';
import { addPod, callPlugin, errorOf, must, NodeFiles, REFERENCE } from '../support/cni.ts';
import { describeInNetns, must as exec, NamedNetns, run } from '../support/netns.ts';

const THEIRS = `${REFERENCE}/bridge`;

/** Rules of table nat in both families, and of the nftables backend, without counters and handles. */
function natRules(): string[] {
  const lines = ['iptables-save', 'ip6tables-save'].flatMap((program) =>
    exec([program, '-t', 'nat']).split('\n'),
  );
  const { stdout } = run(['nft', 'list', 'table', 'inet', 'cni_plugins_masquerade']);
  return [
    ...lines.filter((line) => /^(-A|:CNI)/.test(line)).map((line) => line.replace(/ \[\d+:\d+\]$/, '')),
    ...stdout
      .split('\n')
      .filter((line) => line.includes(' masquerade '))
      .map((line) => line.trim()),
  ];
}

/** A namespace behind the node that knows no way back to the pods: only what is masqueraded gets an answer. */
function outside(): NamedNetns {
  const world = NamedNetns.create('masq');
  exec(['ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', world.name]);
  exec(['ip', 'link', 'set', 'up0', 'up']);
  world.exec(['ip', 'link', 'set', 'eth0', 'up']);
  for (const [node, other] of [
    ['192.0.2.1/24', '192.0.2.2/24'],
    ['2001:db8::1/64', '2001:db8::2/64'],
  ] as const) {
    exec(['ip', 'addr', 'add', node, 'dev', 'up0', ...(node.includes(':') ? ['nodad'] : [])]);
    world.exec(['ip', 'addr', 'add', other, 'dev', 'eth0', ...(other.includes(':') ? ['nodad'] : [])]);
  }
  return world;
}

describeInNetns(import.meta.path, 'ipMasq', () => {
  test.each([
    ['iptables', { ipMasqBackend: 'iptables' }],
    ['nftables', { ipMasqBackend: 'nftables' }],
    ['iptables', {}],
  ] as const)('%s by %j: the pod reaches who does not know it; CHECK, DEL', async (backend, keys) => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('masq');
    using world = outside();
    const config = node.bridgeConfig({ ipMasq: true, ...keys });
    const call = { containerId: 'masq', netns: pod.path, config };
    const prevResult = await addPod('bridge', call);
    pod.exec(['ping', '-c1', '-W2', '192.0.2.2']);
    pod.exec(['ping', '-c1', '-W2', '2001:db8::2']);
    expect(world.name).not.toBe('');
    expect(natRules().some((line) => line.includes('net: cbr0, if: eth0, id: masq'))).toBe(
      backend === 'nftables',
    );
    expect(natRules().some((line) => line.includes('-j MASQUERADE'))).toBe(backend === 'iptables');
    const check = { ...call, command: 'CHECK', config: { ...config, prevResult } };
    await must('bridge', check);
    if (backend === 'iptables') exec(['ip6tables', '-t', 'nat', '-F', 'POSTROUTING']);
    else exec(['nft', 'flush', 'chain', 'inet', 'cni_plugins_masquerade', 'masq_checks']);
    expect(errorOf((await callPlugin('bridge', check)).stdout).msg).toMatch(/has no rule|is missing/);
    await must('bridge', { ...call, command: 'DEL' });
    expect(natRules()).toEqual([]);
    expect(run(['ip', 'netns', 'exec', pod.name, 'ping', '-c1', '-W1', '192.0.2.2']).code).not.toBe(0);
    run(['ip', 'link', 'delete', 'up0']);
  });

  test('iptables rules are those of the original; crossed lives, both ways', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('masq');
    // CHECK of the original's 1.1.1 does not find routes that name no gateway, its own neither.
    const ranges = [[{ subnet: '10.244.1.0/24' }], [{ subnet: '2001:cafe:42:1::/64' }]];
    const ipam = { type: 'host-local', dataDir: `${node.dir}/networks`, ranges };
    const config = node.bridgeConfig({ ipMasq: true, ipam });
    const seen: string[][] = [];
    for (const [first, second] of [
      [THEIRS, 'bridge'],
      ['bridge', THEIRS],
    ] as const) {
      const call = { containerId: 'crossed', netns: pod.path, config };
      const prevResult = await addPod(first, call);
      seen.push(natRules().map((line) => line.replaceAll(/1(\.|::)[23](?=\/(32|128))/g, '1$1x')));
      const again = { ...call, config: { ...config, prevResult } };
      await must(second, { ...again, command: 'CHECK' });
      await must(second, { ...again, command: 'DEL' });
      expect([first, natRules()]).toEqual([first, []]);
    }
    const [theirs = [], ours] = seen;
    expect(theirs.length).toBe(8);
    expect(ours).toEqual(theirs);
  });

  test.each(['iptables', 'nftables'])('%s: GC sweeps what dead containers left', async (ipMasqBackend) => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('masq');
    const config = node.bridgeConfig({ cniVersion: '1.1.0', ipMasq: true, ipMasqBackend });
    const call = (containerId: string, ifName: string) => ({
      containerId,
      ifName,
      netns: pod.path,
      config,
    });
    await addPod('bridge', call('alive', 'eth0'));
    const before = natRules();
    const [other, rest] = [{ name: 'another' }, { containerId: 'other', ifName: 'eth2', netns: pod.path }];
    await addPod('bridge', { ...rest, config: { ...config, ...other } });
    const withOther = natRules();
    expect(withOther.length).toBeGreaterThan(before.length);
    await addPod('bridge', call('dead', 'eth1'));
    expect(natRules().length).toBeGreaterThan(withOther.length);
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'alive', ifname: 'eth0' }] };
    const gc = { command: 'GC', containerId: '', netns: '', config: { ...config, ...valid } };
    await must('bridge', gc);
    expect(natRules().sort()).toEqual(withOther.sort());
    await must('bridge', { ...call('alive', 'eth0'), command: 'DEL' });
    await must('bridge', { ...rest, command: 'DEL', config: { ...config, ...other } });
    expect(natRules()).toEqual([]);
  });

  test('a backend that nobody knows is refused before anything is made', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('masq');
    const base = { containerId: 'p', netns: pod.path, command: 'ADD' };
    const config = node.bridgeConfig({ ipMasq: true, ipMasqBackend: 'ipfw' });
    expect(errorOf((await callPlugin('bridge', { ...base, config })).stdout).code).toBe(2);
    expect([natRules(), node.reservations()]).toEqual([[], []]);
  });
});
