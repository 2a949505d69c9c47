import { beforeAll, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { addPod, callPlugin, errorOf, must, NodeFiles, ports } from '../support/cni.ts';
import { describeInNetns, must as exec, NamedNetns, run } from '../support/netns.ts';

describeInNetns(import.meta.path, 'loopback', () => {
  test('every version gets its result; CHECK finds what is missing; a result before it passes through', async () => {
    for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
      using pod = NamedNetns.create('life');
      const config = { cniVersion, name: 'lo', type: 'loopback' };
      // The runtime says eth0 in a list: there is one loopback interface all the same.
      const call = { containerId: 'p', netns: pod.path, config };
      const result = (await addPod('loopback', call)) as unknown as Record<string, unknown>;
      expect(pod.exec(['ip', '-br', 'link', 'show', 'lo'])).toContain('UP');
      if (cniVersion < '0.3.0') {
        expect(result).toMatchObject({ cniVersion, ip4: { ip: '127.0.0.1/8' }, ip6: { ip: '::1/128' } });
        continue;
      }
      const version = (text: string) => (cniVersion < '1.0.0' ? { version: text } : {});
      expect(result).toMatchObject({
        cniVersion,
        interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: pod.path }],
        ips: [
          { ...version('4'), address: '127.0.0.1/8', interface: 0 },
          { ...version('6'), address: '::1/128', interface: 0 },
        ],
      });
      if (cniVersion < '0.4.0') continue;
      const check = { ...call, command: 'CHECK', config: { ...config, prevResult: result } };
      await must('loopback', check);
      pod.exec(['ip', 'addr', 'delete', '127.0.0.1/8', 'dev', 'lo']);
      const broken = await callPlugin('loopback', check);
      expect(errorOf(broken.stdout)).toMatchObject({
        code: 999,
        msg: expect.stringContaining('127.0.0.1/8 is missing'),
      });
      pod.exec(['ip', 'link', 'set', 'lo', 'down']);
      expect(errorOf((await callPlugin('loopback', check)).stdout).msg).toContain('lo is down');
      await must('loopback', { ...call, command: 'DEL' });
    }
    using pod = NamedNetns.create('life');
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', sandbox: pod.path }],
      ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 0 }],
      routes: [{ dst: '0.0.0.0/0' }],
    };
    const config = { cniVersion: '1.0.0', name: 'lo', type: 'loopback', prevResult };
    const call = { containerId: 'p', netns: pod.path, config };
    expect(await addPod('loopback', call)).toMatchObject(prevResult);
    // An address of another plugin is not looked for here.
    await must('loopback', { ...call, command: 'CHECK' });
    await must('loopback', { ...call, command: 'DEL' });
    await must('loopback', { ...call, command: 'DEL', netns: '' });
    await must('loopback', { ...call, command: 'DEL', netns: '/run/netns/gone' });
  });
});

describeInNetns(import.meta.path, 'calls in an unusual order', () => {
  test('DEL before ADD, twice, without a namespace; ADD twice keeps the first pod as it is', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('life');
    node.writeSubnetEnv();
    const config = node.flannelConfig({ cniVersion: '1.1.0' });
    const call = { containerId: 'p', netns: pod.path, config };
    for (const plugin of ['flannel', 'bridge', 'host-local', 'loopback', 'portmap']) {
      for (const netns of [pod.path, '', '/run/netns/gone']) {
        const own = plugin === 'flannel' ? config : node.bridgeConfig({ cniVersion: '1.1.0' });
        expect(await must(plugin, { ...call, command: 'DEL', netns, config: own })).toBe('');
      }
    }
    expect(node.reservations()).toEqual([]);
    const prevResult = await addPod('flannel', call);
    const before = [node.reservations(), node.read('flannel/p'), pod.exec(['ip', 'addr', 'show', 'eth0'])];
    const again = await callPlugin('flannel', { ...call, command: 'ADD' });
    expect(errorOf(again.stdout).msg).toContain('eth0');
    expect([node.reservations(), node.read('flannel/p'), pod.exec(['ip', 'addr', 'show', 'eth0'])]).toEqual(
      before,
    );
    pod.exec(['ping', '-c1', '-W1', '10.244.1.1']);
    await must('flannel', { ...call, command: 'CHECK', config: { ...config, prevResult } });
    await must('flannel', { ...call, command: 'STATUS' });
    await must('flannel', { ...call, command: 'DEL' });
    expect([node.reservations(), ports()]).toEqual([[], []]);
  });

  test('a delegate that masquerades: DEL finds its rules with everything else lost', async () => {
    for (const ipMasqBackend of ['nftables', 'iptables']) {
      using node = new NodeFiles();
      using pod = NamedNetns.create('life');
      node.writeSubnetEnv({ dual: false });
      writeFileSync(
        node.subnetFile,
        readFileSync(node.subnetFile, 'utf8').replace('IPMASQ=true', 'IPMASQ=false'),
      );
      const config = node.flannelConfig({ delegate: { ipMasqBackend } });
      const call = { containerId: 'lost', netns: pod.path, config };
      const rules = () =>
        exec(['nft', 'list', 'ruleset'])
          .split('\n')
          .filter((line) => line.includes('10.244.1.'));
      await addPod('flannel', call);
      expect(rules()).not.toEqual([]);
      run(['rm', `${node.dir}/flannel/lost`, node.subnetFile]);
      const { path } = pod;
      pod[Symbol.dispose]();
      await must('flannel', { ...call, command: 'DEL', netns: path });
      expect([rules(), node.reservations()]).toEqual([[], []]);
    }
  });

  test('the same container on two networks and two interfaces: each DEL takes its own', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('life');
    node.writeSubnetEnv({ dual: false });
    const other = (name: string) => node.flannelConfig({ name, delegate: { bridge: 'cni1' } });
    const first = { containerId: 'p', netns: pod.path, config: node.flannelConfig() };
    const second = { ...first, config: other('second'), ifName: 'net1' };
    await addPod('flannel', first);
    node.writeSubnetEnv({ dual: false, subnet: '10.244.2.1/24' });
    await addPod('flannel', second);
    await must('flannel', { ...first, command: 'DEL' });
    expect(pod.exec(['ip', '-br', 'addr'])).toContain('10.244.2.2/24');
    expect(pod.exec(['ip', '-br', 'addr'])).not.toContain('10.244.1.');
    await must('flannel', { ...second, command: 'DEL' });
    expect(node.reservations()).toEqual([]);
  });
});

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

describeInNetns(
  import.meta.path,
  'a node that starts again',
  () => {
    beforeAll(() => {
      exec(['mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
      writeFileSync('/mnt/boot_id', readFileSync(BOOT_ID));
      exec(['mount', '--bind', '/mnt/boot_id', BOOT_ID]);
    });

    test('without a DEL: every address and configuration of the boot before is to be had again', async () => {
      using node = new NodeFiles();
      node.writeSubnetEnv({ dual: false, subnet: '10.244.1.1/29' });
      const config = node.flannelConfig();
      for (const boot of ['11111111-aaaa', '22222222-bbbb', '33333333-cccc']) {
        writeFileSync('/mnt/boot_id', `${boot}\n`);
        run(['ip', 'link', 'delete', 'cni0']);
        const pods = Array.from({ length: 6 }, () => NamedNetns.create('life'));
        try {
          const [last, ...rest] = pods;
          const given: string[] = [];
          for (const pod of rest) {
            const { ips } = await addPod('flannel', { containerId: pod.name, netns: pod.path, config });
            given.push(ips[0]?.address ?? 'none');
          }
          expect(given.sort()).toEqual([2, 3, 4, 5, 6].map((host) => `10.244.1.${host}/29`));
          const full = { containerId: 'late', netns: last?.path ?? '', config };
          const refused = await callPlugin('flannel', { ...full, command: 'ADD' });
          expect(errorOf(refused.stdout).msg).toContain('no IP addresses available');
          // The runtime died, the pod with it, nobody called DEL: its address is to be had.
          rest[2]?.[Symbol.dispose]();
          await addPod('flannel', full);
        } finally {
          for (const pod of pods) pod[Symbol.dispose]();
        }
      }
      // The runtime's DELs for containers of earlier boots, late: nothing is left in the end but this boot's.
      const ids = node.reservations().filter((path) => path.startsWith('flannel/'));
      for (const id of ids) {
        const containerId = id.slice('flannel/'.length);
        await must('flannel', { command: 'DEL', containerId, netns: '', config });
      }
      expect(node.reservations()).toEqual([]);
    });
  },
  { mounts: true },
);
