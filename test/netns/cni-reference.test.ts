import { expect, test } from 'bun:test';
import { addPod, must, NodeFiles, REFERENCE, type CniResultJson } from '../support/cni.ts';
import { describeInNetns, json, NamedNetns, run } from '../support/netns.ts';

const THEIRS = `${REFERENCE}/bridge`;
const OURS = 'bridge';

/** What differs from run to run, taken out. */
function comparable(result: CniResultJson, pod: NamedNetns): unknown {
  const text = JSON.stringify(result)
    .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC')
    .replaceAll(/veth[0-9a-f]{8}/g, 'VETH')
    .replaceAll(pod.path, 'NETNS');
  const { dns: _empty, ...rest } = JSON.parse(text) as Record<string, unknown>;
  return rest;
}

/** The pod as the kernel has it, without what differs from run to run. */
function picture(pod: NamedNetns): unknown {
  const text = ['addr', 'route', '-6 route'].map((what) => pod.exec(['ip', ...what.split(' ')])).join('\n');
  return (
    text
      .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC')
      .replaceAll(/fe80::\S+ /g, 'LINKLOCAL ')
      .replaceAll(/eth0@if\d+/g, 'eth0')
      // Debian's version makes the pair without a queue length, the recorded one and ours with the kernel's default.
      .replaceAll(' qlen 1000', '')
      .replaceAll(/ +$/gm, '')
      .replaceAll(/^\d+: /gm, '')
  );
}

describeInNetns(import.meta.path, 'beside the original plugins (Debian containernetworking-plugins)', () => {
  for (const cniVersion of ['0.3.1', '0.4.0', '1.0.0']) {
    test(`the same result and the same pod with cniVersion ${cniVersion}`, async () => {
      const seen: unknown[] = [];
      for (const command of [THEIRS, OURS]) {
        using node = new NodeFiles();
        using pod = NamedNetns.create('cni');
        run(['ip', 'link', 'delete', 'cni0']);
        const call = { containerId: 'p', netns: pod.path, config: node.bridgeConfig({ cniVersion }) };
        const result = await addPod(command, call);
        seen.push([comparable(result, pod), picture(pod)]);
        await must(command, { ...call, command: 'DEL' });
      }
      expect(seen[1]).toEqual(seen[0]);
    });
  }

  test('a pod that one has added the other checks and removes', async () => {
    using node = new NodeFiles();
    run(['ip', 'link', 'delete', 'cni0']);
    for (const [adds, removes] of [
      [THEIRS, OURS],
      [OURS, THEIRS],
    ] as const) {
      using pod = NamedNetns.create('cni');
      const call = { containerId: `by-${pod.name}`, netns: pod.path, config: node.bridgeConfig() };
      const prevResult = await addPod(adds, call);
      const config = node.bridgeConfig({ prevResult });
      // CHECK of Debian's version does not know routes without a gateway, its own neither.
      if (removes === OURS) await must(removes, { ...call, command: 'CHECK', config });
      await must(removes, { ...call, command: 'DEL', config });
      expect(json(['ip', '-j', 'link', 'show', 'master', 'cni0'])).toEqual([]);
      expect(node.reservations().filter((path) => !path.includes('.boot'))).toEqual([]);
    }
  });

  test('pods of both live on one bridge with one store, and talk', async () => {
    using node = new NodeFiles();
    run(['ip', 'link', 'delete', 'cni0']);
    using a = NamedNetns.create('cni');
    using b = NamedNetns.create('cni');
    using c = NamedNetns.create('cni');
    const config = node.bridgeConfig();
    const address = async (command: string, pod: NamedNetns) =>
      (await addPod(command, { containerId: pod.name, netns: pod.path, config })).ips[0]?.address;
    expect(await address(THEIRS, a)).toBe('10.244.1.2/24');
    expect(await address(OURS, b)).toBe('10.244.1.3/24');
    expect(await address(THEIRS, c)).toBe('10.244.1.4/24');
    b.exec(['ping', '-c1', '-W1', '10.244.1.2']);
    c.exec(['ping', '-c1', '-W1', '10.244.1.3']);
  });

  test('our flannel hands other delegates and other address managers to their executables', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    run(['ip', 'link', 'delete', 'cni0']);
    node.writeSubnetEnv({ dual: false });
    const call = {
      containerId: 'p',
      netns: pod.path,
      config: node.flannelConfig({ delegate: { type: 'ptp' } }),
    };
    expect((await addPod('flannel', call)).ips[0]?.address).toBe('10.244.1.2/24');
    pod.exec(['ping', '-c1', '-W1', '10.244.1.1']);
    await must('flannel', { ...call, command: 'DEL' });
    expect(node.reservations().filter((path) => !path.includes('.boot'))).toEqual([]);

    const ipam = { type: 'static', addresses: [{ address: '10.7.0.5/24', gateway: '10.7.0.1' }] };
    const fixed = { ...call, config: node.bridgeConfig({ ipam, isDefaultGateway: true }) };
    const result = await addPod('bridge', fixed);
    expect(result.ips).toEqual([{ address: '10.7.0.5/24', gateway: '10.7.0.1', interface: 2 }]);
    await must('bridge', { ...fixed, command: 'DEL' });
    const missing = node.bridgeConfig({ ipam: { type: 'nosuch' } });
    expect(addPod('bridge', { ...call, config: missing })).rejects.toThrow(/failed to find plugin .*nosuch/);
  });

  test('our host-local serves their bridge', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const { ipam } = node.bridgeConfig() as { ipam: object };
    const call = { containerId: 'p', netns: pod.path, config: { cniVersion: '1.0.0', name: 'n', ipam } };
    const [theirs, ours] = [
      await addPod(`${REFERENCE}/host-local`, call),
      await addPod('host-local', { ...call, containerId: 'q' }),
    ];
    expect(Object.keys(ours)).toEqual(expect.arrayContaining(['cniVersion', 'ips', 'routes']));
    expect(JSON.stringify(ours.routes)).toBe(JSON.stringify(theirs.routes));
    expect(ours.ips.map(({ address }) => address)).toEqual(['10.244.1.3/24', '2001:cafe:42:1::3/64']);
    await must('host-local', { ...call, command: 'DEL' });
    await must(`${REFERENCE}/host-local`, { ...call, containerId: 'q', command: 'DEL' });
    expect(node.reservations().filter((path) => !path.includes('.boot'))).toEqual([]);
  });
});
