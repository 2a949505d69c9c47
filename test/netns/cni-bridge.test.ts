import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { addPod, addresses, callPlugin, errorOf, must, NodeFiles, ports } from '../support/cni.ts';
import { describeInNetns, json, must as exec, NamedNetns } from '../support/netns.ts';

describeInNetns(import.meta.path, 'failures of ADD', () => {
  test('a failed ADD takes back what it made, a full range says so', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    using second = NamedNetns.create('cni');
    const ipam = {
      type: 'host-local',
      dataDir: `${node.dir}/networks`,
      subnet: '10.9.0.0/30',
      routes: [{ dst: '10.0.0.0/8', gw: '192.0.2.1' }],
    };
    const call = { command: 'ADD', containerId: 'p', netns: pod.path, config: node.bridgeConfig({ ipam }) };
    const failed = await callPlugin('bridge', call);
    // The gateway of the route cannot be reached: the kernel refuses at the very end.
    expect([failed.code, errorOf(failed.stdout).code]).toEqual([1, 999]);
    const veths = json(['ip', '-j', 'link', 'show', 'type', 'veth']);
    expect([veths, node.reservations()]).toEqual([[], []]);
    expect(json(['ip', '-n', pod.name, '-j', 'link', 'show'])).toHaveLength(1);

    const config = node.bridgeConfig({ ipam: { ...ipam, routes: [] } });
    await addPod('bridge', { containerId: 'p', netns: pod.path, config });
    const full = await callPlugin('bridge', { ...call, containerId: 'q', netns: second.path, config });
    expect(errorOf(full.stdout)).toMatchObject({
      code: 999,
      msg: 'failed to allocate for range 0: no IP addresses available in range set: 10.9.0.1-10.9.0.2',
    });
  });

  test('codes are those of the original', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const config = node.bridgeConfig();
    const call = { command: 'ADD', containerId: 'p', netns: '/run/netns/nope', config };
    expect(errorOf((await callPlugin('bridge', call)).stdout).code).toBe(999);
    expect(await must('bridge', { ...call, command: 'DEL' })).toBe('');
    pod.exec(['ip', 'link', 'add', 'eth0', 'type', 'bridge']);
    const taken = await callPlugin('bridge', { ...call, netns: pod.path });
    expect(errorOf(taken.stdout).msg).toContain('already has an interface "eth0"');
    expect(node.reservations()).toEqual([]);
    // DEL of a pod that another plugin wired does not take its interface.
    await must('bridge', { ...call, command: 'DEL', netns: pod.path });
    pod.exec(['ip', 'link', 'show', 'eth0']);
  });

  test('no agent: ADD waits, then says try again later and why; STATUS says not available', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const reason = 'node n1: pod cidr not assigned';
    writeFileSync(`${node.dir}/run/status.json`, JSON.stringify({ ready: false, reason }));
    const call = {
      command: 'ADD',
      containerId: 'p',
      netns: pod.path,
      config: node.flannelConfig({ cniVersion: '1.1.0' }),
    };
    const status = await callPlugin('flannel', { ...call, command: 'STATUS' });
    expect(errorOf(status.stdout)).toMatchObject({ code: 50, details: expect.stringContaining(reason) });
    const waiting = callPlugin('flannel', call);
    const refused = await waiting;
    expect(errorOf(refused.stdout)).toMatchObject({ code: 11, details: expect.stringContaining(reason) });
    const late = callPlugin('flannel', call);
    await Bun.sleep(500);
    node.writeSubnetEnv();
    writeFileSync(`${node.dir}/run/status.json`, JSON.stringify({ ready: true }));
    expect((await late).code).toBe(0);
    await must('flannel', { ...call, command: 'STATUS' });
  });

  test('a duplicate ADD is refused; after an ADD that never completed it is not', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const config = node.bridgeConfig();
    const call = { containerId: 'p', netns: pod.path, config };
    await addPod('bridge', call);
    expect((await callPlugin('bridge', { ...call, command: 'ADD' })).code).toBe(1);
    expect(node.reservations()).toHaveLength(4);
    // Killed after the reservation: the address is held, the interface is not there.
    pod.exec(['ip', 'link', 'delete', 'eth0']);
    const again = await addPod('bridge', call);
    expect(again.ips[0]?.address).toBe('10.244.1.3/24');
    expect(node.reservations()).toHaveLength(4);
  });
});

describeInNetns(import.meta.path, 'bridge details', () => {
  test('an old gateway address: replaced on an empty bridge, kept beside the new one while pods use it', async () => {
    using node = new NodeFiles();
    using a = NamedNetns.create('cni');
    using b = NamedNetns.create('cni');
    const own = () =>
      addresses(undefined, 'cni0')
        .filter(({ family }) => family === 'inet')
        .map(({ local }) => local);
    node.writeSubnetEnv({ dual: false, subnet: '10.244.1.1/24' });
    const first = { containerId: 'a', netns: a.path, config: node.flannelConfig() };
    await addPod('flannel', first);
    node.writeSubnetEnv({ dual: false, subnet: '10.244.9.1/24' });
    const second = { containerId: 'b', netns: b.path, config: node.flannelConfig() };
    const { stderr } = await callPlugin('flannel', { ...second, command: 'ADD' });
    expect(stderr).toMatch(/cni0 already has an IP address different from 10.244.9.1\/24.*pods on veth/);
    expect(own()).toEqual(['10.244.1.1', '10.244.9.1']);
    a.exec(['ping', '-c1', '-W1', '10.244.1.1']);
    b.exec(['ping', '-c1', '-W1', '10.244.9.1']);
    await must('flannel', { ...first, command: 'DEL' });
    await must('flannel', { ...second, command: 'DEL' });
    node.writeSubnetEnv({ dual: false, subnet: '10.244.5.1/24' });
    await addPod('flannel', second);
    expect(own()).toEqual(['10.244.5.1']);
  });

  test('an old IPv6 gateway address goes from an empty bridge too; what an operator has added stays', async () => {
    using node = new NodeFiles();
    using a = NamedNetns.create('cni');
    const own = () =>
      addresses(undefined, 'cni0')
        .filter(({ family, scope }) => family === 'inet6' && scope === 'global')
        .map(({ local }) => local)
        .toSorted();
    const pod = { containerId: 'a', netns: a.path, config: node.flannelConfig() };
    node.writeSubnetEnv({ subnet6: '2001:cafe:42:1::1/64' });
    await addPod('flannel', pod);
    exec(['ip', 'address', 'add', 'fd77::5/64', 'dev', 'cni0', 'nodad']);
    await must('flannel', { ...pod, command: 'DEL' });
    node.writeSubnetEnv({ subnet6: '2001:cafe:42:9::1/64' });
    await addPod('flannel', pod);
    expect(own()).toEqual(['2001:cafe:42:9::1', 'fd77::5']);
  });

  test('MAC, port isolation, promiscuous mode, layer 2 only, interface left down', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const config = {
      cniVersion: '1.1.0',
      name: 'l2',
      type: 'bridge',
      bridge: 'cni0',
      portIsolation: true,
      promiscMode: true,
    };
    const call = {
      containerId: 'p',
      netns: pod.path,
      config,
      args: 'IgnoreUnknown=1;MAC=02:11:22:33:44:55',
    };
    const result = await addPod('bridge', call);
    expect(result.interfaces[2]?.mac).toBe('02:11:22:33:44:55');
    expect(result.ips).toBeUndefined();
    // By name: the kernel may still be removing the pods of the test before.
    const port = ports().find(({ ifname }) => ifname === result.interfaces[1]?.name);
    expect(port).toMatchObject({ linkinfo: { info_slave_data: { isolated: true, hairpin: false } } });
    expect(json(['ip', '-j', 'link', 'show', 'cni0'])[0]?.['flags']).toContain('PROMISC');
    await must('bridge', { ...call, command: 'DEL' });
    await addPod('bridge', { ...call, config: { ...config, disableContainerInterface: true } });
    expect(json(['ip', '-n', pod.name, '-j', 'link', 'show', 'eth0'])[0]?.['flags']).not.toContain('UP');
    expect(node.reservations()).toEqual([]);
  });

  test('CHECK finds each thing that is missing', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const call = { containerId: 'p', netns: pod.path, config: node.bridgeConfig() };
    const prevResult = await addPod('bridge', call);
    const check = async () => {
      const config = node.bridgeConfig({ prevResult });
      const { code, stdout } = await callPlugin('bridge', { ...call, command: 'CHECK', config });
      return code === 0 ? 'good' : errorOf(stdout).msg;
    };
    expect(await check()).toBe('good');
    pod.exec(['ip', 'route', 'delete', '10.244.0.0/16']);
    expect(await check()).toContain('route 10.244.0.0/16');
    pod.exec(['ip', 'route', 'add', '10.244.0.0/16', 'via', '10.244.1.1']);
    expect(await check()).toBe('good');
    pod.exec(['ip', 'address', 'delete', '2001:cafe:42:1::2/64', 'dev', 'eth0']);
    expect(await check()).toContain('address 2001:cafe:42:1::2/64 is missing');
    exec(['ip', 'link', 'set', prevResult.interfaces[1]?.name ?? '', 'nomaster']);
    expect(await check()).toContain('is not a port of bridge cni0');
    pod.exec(['ip', 'link', 'delete', 'eth0']);
    expect(await check()).toContain('is gone');
  });

  test('duplicate address detection is waited for when it is asked for', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    const call = { containerId: 'p', netns: pod.path, config: node.bridgeConfig({ enabledad: true }) };
    await addPod('bridge', call);
    expect(addresses(pod.name, 'eth0').some(({ tentative }) => tentative === true)).toBe(false);
    expect(pod.exec(['cat', '/proc/sys/net/ipv6/conf/eth0/accept_dad'])).toBe('1\n');
  });

  test('the host end goes with DEL although something still holds the deleted namespace', async () => {
    using node = new NodeFiles();
    const pod = NamedNetns.create('cni');
    const call = { containerId: 'p', netns: pod.path, config: node.bridgeConfig() };
    const prevResult = await addPod('bridge', call);
    const holder = Bun.spawn(['ip', 'netns', 'exec', pod.name, 'sleep', '60']);
    try {
      await Bun.sleep(200);
      pod[Symbol.dispose]();
      expect(ports()).toHaveLength(1);
      await must('bridge', { ...call, command: 'DEL', config: node.bridgeConfig({ prevResult }) });
      expect([ports(), node.reservations()]).toEqual([[], []]);
    } finally {
      holder.kill();
      await holder.exited;
    }
  });
});
