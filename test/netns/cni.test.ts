import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { addPod, addresses, callPlugin, must, NodeFiles, ports } from '../support/cni.ts';
import { describeInNetns, json, must as exec, NamedNetns, run } from '../support/netns.ts';

describeInNetns(import.meta.path, 'a pod by flannel, bridge and host-local', () => {
  test('is wired as the original wires it, and DEL leaves nothing', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    node.writeSubnetEnv();
    const call = { containerId: 'pod11', netns: pod.path, config: node.flannelConfig() };
    const result = await addPod('flannel', call);

    expect(result.interfaces.map(({ name }) => name)).toEqual([
      'cni0',
      expect.stringMatching(/^veth[0-9a-f]{8}$/),
      'eth0',
    ]);
    expect(result.ips.map(({ address }) => address)).toEqual(['10.244.1.2/24', '2001:cafe:42:1::2/64']);
    const own = addresses(pod.name, 'eth0').filter(({ scope }) => scope === 'global');
    expect(own.map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast])).toEqual([
      ['10.244.1.2', 24, '10.244.1.255'],
      ['2001:cafe:42:1::2', 64, undefined],
    ]);
    expect(own.some(({ tentative }) => tentative === true)).toBe(false);
    expect(pod.exec(['ip', 'route']).trim().split(/ *\n/)).toEqual([
      'default via 10.244.1.1 dev eth0',
      '10.244.0.0/16 via 10.244.1.1 dev eth0',
      '10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2',
    ]);
    expect(pod.exec(['ip', '-6', 'route'])).toContain('default via 2001:cafe:42:1::1 dev eth0 metric 1024');
    const [eth0] = json(['ip', '-n', pod.name, '-j', 'link', 'show', 'dev', 'eth0']);
    expect(eth0).toMatchObject({ mtu: 1450, operstate: 'UP', address: result.interfaces[2]?.mac });
    const [port] = ports();
    expect(port).toMatchObject({
      mtu: 1450,
      ifname: result.interfaces[1]?.name,
      linkinfo: { info_slave_data: { hairpin: true, isolated: false, state: 'forwarding' } },
    });
    const gateway = addresses(undefined, 'cni0').filter(({ scope }) => scope === 'global');
    expect(gateway.map(({ local, prefixlen }) => `${local}/${prefixlen}`)).toEqual([
      '10.244.1.1/24',
      '2001:cafe:42:1::1/64',
    ]);
    expect(gateway.some(({ tentative }) => tentative === true)).toBe(false);
    expect(exec(['cat', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding'])).toBe(
      '1\n1\n',
    );
    // The very first packets get through, in both families.
    pod.exec(['ping', '-c1', '-W1', '10.244.1.1']);
    pod.exec(['ping', '-c1', '-W1', '2001:cafe:42:1::1']);

    await must('flannel', {
      ...call,
      command: 'CHECK',
      config: node.flannelConfig({ prevResult: result }),
    });
    expect(await must('flannel', { ...call, command: 'DEL' })).toBe('');
    expect(ports()).toEqual([]);
    expect(json(['ip', '-n', pod.name, '-j', 'link', 'show']).map((link) => link['ifname'])).toEqual(['lo']);
    expect(node.reservations()).toEqual([]);
    expect(json(['ip', '-j', 'neigh', 'show', 'dev', 'cni0']).map((entry) => entry['dst'])).not.toContain(
      '10.244.1.2',
    );
    await must('flannel', { ...call, command: 'DEL' });
  });

  test('two pods talk, the bridge keeps its MAC, an address that comes back is announced', async () => {
    using node = new NodeFiles();
    node.writeSubnetEnv();
    using a = NamedNetns.create('cni');
    using b = NamedNetns.create('cni');
    using c = NamedNetns.create('cni');
    const mac = () => json(['ip', '-j', 'link', 'show', 'cni0'])[0]?.['address'];
    const config = node.flannelConfig();
    await addPod('flannel', { containerId: 'a', netns: a.path, config });
    const before = mac();
    const wanted = (ip: string) => node.flannelConfig({ runtimeConfig: { ips: [ip] } });
    const second = await addPod('flannel', {
      containerId: 'b',
      netns: b.path,
      config: wanted('10.244.1.77'),
    });
    expect(second.ips[0]?.address).toBe('10.244.1.77/24');
    a.exec(['ping', '-c1', '-W1', '10.244.1.77']);
    await must('flannel', {
      command: 'DEL',
      containerId: 'b',
      netns: b.path,
      config: wanted('10.244.1.77'),
    });
    await addPod('flannel', { containerId: 'c', netns: c.path, config: wanted('10.244.1.77') });
    // Pod a still remembers b's MAC unless it was told.
    a.exec(['ping', '-c1', '-W1', '10.244.1.77']);
    expect(mac()).toBe(before);
    for (const [id, pod] of Object.entries({ a, c })) {
      await must('flannel', { command: 'DEL', containerId: id, netns: pod.path, config });
    }
  });

  test('DEL works with the namespace gone, without the kept configuration, and with a damaged one', async () => {
    using node = new NodeFiles();
    node.writeSubnetEnv();
    const config = node.flannelConfig();
    for (const damage of [undefined, '', '{"type":"bri', '{"type":"bridge","name":"other"}', 'gone']) {
      const pod = NamedNetns.create('cni');
      await addPod('flannel', { containerId: 'p', netns: pod.path, config });
      if (damage === 'gone') run(['rm', `${node.dir}/flannel/p`]);
      else if (damage !== undefined) writeFileSync(`${node.dir}/flannel/p`, damage);
      const { path } = pod;
      pod[Symbol.dispose]();
      await must('flannel', { command: 'DEL', containerId: 'p', netns: damage === '' ? '' : path, config });
      expect(node.reservations()).toEqual([]);
    }
  });

  test('DEL works without the agent, too', async () => {
    using node = new NodeFiles();
    node.writeSubnetEnv();
    using pod = NamedNetns.create('cni');
    const config = node.flannelConfig();
    await addPod('flannel', { containerId: 'p', netns: pod.path, config });
    run(['rm', node.subnetFile, `${node.dir}/flannel/p`]);
    const { stderr } = await callPlugin('flannel', {
      command: 'DEL',
      containerId: 'p',
      netns: pod.path,
      config,
    });
    expect(stderr).toContain('without subnet.env');
    expect([node.reservations(), ports()]).toEqual([[], []]);
  });

  test('50 pods at once each get an address of their own', async () => {
    using node = new NodeFiles();
    node.writeSubnetEnv({ dual: false });
    run(['ip', 'link', 'delete', 'cni0']);
    const pods = Array.from({ length: 50 }, () => NamedNetns.create('cni'));
    try {
      const config = node.flannelConfig();
      const results = await Promise.all(
        pods.map((pod) => addPod('flannel', { containerId: pod.name, netns: pod.path, config })),
      );
      expect(new Set(results.map(({ ips }) => ips[0]?.address)).size).toBe(50);
      expect(new Set(results.map(({ interfaces }) => interfaces[0]?.mac)).size).toBe(1);
      expect(ports()).toHaveLength(50);
      await Promise.all(
        pods.map((pod) =>
          must('flannel', { command: 'DEL', containerId: pod.name, netns: pod.path, config }),
        ),
      );
      expect([ports(), node.reservations()]).toEqual([[], []]);
    } finally {
      for (const pod of pods) pod[Symbol.dispose]();
    }
  });
});

describeInNetns(import.meta.path, 'loopback and GC', () => {
  test('loopback goes up and reports its addresses', async () => {
    using pod = NamedNetns.create('cni');
    const config = { cniVersion: '1.0.0', name: 'lo', type: 'loopback' };
    const call = { containerId: 'p', netns: pod.path, config, ifName: 'lo' };
    const result = await addPod('loopback', call);
    expect(result).toMatchObject({
      interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: pod.path }],
      ips: [
        { address: '127.0.0.1/8', interface: 0 },
        { address: '::1/128', interface: 0 },
      ],
    });
    pod.exec(['ping', '-c1', '-W1', '127.0.0.1']);
    await must('loopback', { ...call, command: 'CHECK' });
    await must('loopback', { ...call, command: 'DEL' });
    expect((await callPlugin('loopback', { ...call, command: 'CHECK' })).code).toBe(1);
  });

  test('GC frees addresses and configurations of containers that are not in the list', async () => {
    using node = new NodeFiles();
    node.writeSubnetEnv();
    using a = NamedNetns.create('cni');
    using b = NamedNetns.create('cni');
    const config = node.flannelConfig({ cniVersion: '1.1.0' });
    for (const [containerId, { path }] of Object.entries({ a, b })) {
      await addPod('flannel', { containerId, netns: path, config });
    }
    const call = { command: 'GC', containerId: '', netns: '' };
    expect((await callPlugin('flannel', { ...call, config })).code).toBe(1);
    expect(node.reservations()).toHaveLength(10);
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] };
    await must('flannel', { ...call, config: { ...config, ...valid } });
    expect(node.reservations().filter((path) => !path.includes('.boot'))).toEqual([
      'flannel/b',
      'networks/cbr0/10.244.1.3',
      'networks/cbr0/2001:cafe:42:1::3',
    ]);
  });
});
