import { expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { addPod, callPlugin, must, NodeFiles } from '../support/cni.ts';
import { describeInNetns, json, must as exec, NamedNetns, run } from '../support/netns.ts';

interface AddressJson {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
  readonly broadcast?: string;
  readonly scope: string;
  readonly tentative?: boolean;
}

function addresses(netns: string | undefined, link: string): AddressJson[] {
  const [entry] = json([
    'ip',
    ...(netns === undefined ? [] : ['-n', netns]),
    '-j',
    'addr',
    'show',
    'dev',
    link,
  ]);
  return (entry?.['addr_info'] ?? []) as AddressJson[];
}

function ports(): Record<string, unknown>[] {
  return json(['ip', '-j', '-d', 'link', 'show', 'master', 'cni0']);
}

function errorOf(stdout: string) {
  return JSON.parse(stdout) as { code: number; msg: string; details?: string };
}

describeInNetns(
  import.meta.path,
  'a pod by flannel, bridge and host-local',
  () => {
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
      expect(json(['ip', '-n', pod.name, '-j', 'link', 'show']).map((link) => link['ifname'])).toEqual([
        'lo',
      ]);
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
    }, 60_000);
  },
  { timeoutMs: 120_000 },
);

describeInNetns(
  import.meta.path,
  'failures of ADD',
  () => {
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
      expect([ports(), node.reservations()]).toEqual([[], []]);
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
    }, 20_000);

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
  },
  { timeoutMs: 60_000 },
);

describeInNetns(
  import.meta.path,
  'bridge details',
  () => {
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
      expect(ports()[0]).toMatchObject({ linkinfo: { info_slave_data: { isolated: true, hairpin: false } } });
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
    }, 20_000);

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
  },
  { timeoutMs: 60_000 },
);

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
