import { expect, test } from 'bun:test';
import { addPod, callPlugin, errorOf, installOurs, must, NodeFiles, REFERENCE } from '../support/cni.ts';
import { describeInNetns, json, kernelLacks, must as exec, NamedNetns, run } from '../support/netns.ts';

/** A link for pods to share: one end of a pair whose other end is up. */
function makeMaster(): void {
  run(['ip', 'link', 'delete', 'up0']);
  exec(['ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1']);
  for (const name of ['up0', 'up1']) exec(['ip', 'link', 'set', name, 'up']);
}

function kernelHas(kind: string): boolean {
  makeMaster();
  const made = run(['ip', 'link', 'add', 'link', 'up0', 'name', 'probe', 'type', kind]).code === 0;
  if (made) exec(['ip', 'link', 'delete', 'probe']);
  else kernelLacks(kind);
  return made;
}

const DELEGATES: readonly { type: string; extra: object; kind?: string }[] = [
  { type: 'ptp', extra: {} },
  { type: 'macvlan', extra: { master: 'up0', mode: 'bridge' }, kind: 'macvlan' },
  { type: 'ipvlan', extra: { master: 'up0' }, kind: 'ipvlan' },
];

/** What Debian's plugin has left of containers: `ip` shows the pods' names, not whose they were. */
function left(node: NodeFiles): string[] {
  return node.reservations().filter((path) => !path.startsWith('bin/'));
}

describeInNetns(import.meta.path, 'delegates of Debian (containernetworking-plugins)', () => {
  for (const { type, extra, kind } of DELEGATES) {
    for (const cniVersion of ['0.3.1', '1.0.0']) {
      test(`${type}, cniVersion ${cniVersion}: pods talk, CHECK, DEL with and without what ADD kept`, async () => {
        if (kind !== undefined && !kernelHas(kind)) return;
        makeMaster();
        using node = new NodeFiles();
        using a = NamedNetns.create('dele');
        using b = NamedNetns.create('dele');
        node.writeSubnetEnv();
        // The address manager that the delegate executes is ours.
        installOurs(`${node.dir}/bin`, 'host-local');
        const path = `${node.dir}/bin:${REFERENCE}`;
        const config = node.flannelConfig({ cniVersion, delegate: { type, ...extra } });
        const call = (pod: NamedNetns) => ({ containerId: pod.name, netns: pod.path, config, path });
        const results = [await addPod('flannel', call(a)), await addPod('flannel', call(b))];
        expect(results.map(({ ips }) => ips.map(({ address }) => address.split('/')[0]))).toEqual([
          ['10.244.1.2', '2001:cafe:42:1::2'],
          ['10.244.1.3', '2001:cafe:42:1::3'],
        ]);
        exec(['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']);
        a.exec(['ping', '-c1', '-W2', '10.244.1.3']);
        b.exec(['ping', '-c1', '-W2', '10.244.1.2']);
        // Theirs does not wait for duplicate address detection.
        a.exec(['ping', '-6', '-c1', '-i0.2', '-w15', '2001:cafe:42:1::3']);
        expect(a.exec(['ip', 'route'])).toContain('10.244.0.0/16 via 10.244.1.1 dev eth0');
        expect(json(['ip', '-n', a.name, '-j', 'link', 'show', 'eth0'])[0]).toMatchObject({ mtu: 1450 });

        // CHECK of Debian's version does not know routes without a gateway.
        const prevResult = { ...results[0], routes: [] };
        const checked = node.flannelConfig({
          cniVersion,
          delegate: { type, ...extra },
          prevResult,
        });
        if (cniVersion !== '0.3.1') {
          await must('flannel', { ...call(a), command: 'CHECK', config: checked });
          a.exec(['ip', 'addr', 'flush', 'dev', 'eth0']);
          const broken = await callPlugin('flannel', { ...call(a), command: 'CHECK', config: checked });
          expect(errorOf(broken.stdout)).toMatchObject({
            msg: expect.stringContaining(`plugin ${type}: `),
          });
        }
        await must('flannel', { ...call(a), command: 'DEL', config: checked });
        run(['rm', `${node.dir}/flannel/${b.name}`, node.subnetFile]);
        await must('flannel', { ...call(b), command: 'DEL' });
        for (const pod of [a, b]) {
          expect(pod.exec(['ip', '-br', 'link'])).toMatch(/^lo [^\n]*\n$/);
          await must('flannel', { ...call(pod), command: 'DEL' });
          await must('flannel', { ...call(pod), command: 'DEL', netns: '' });
        }
        expect(left(node)).toEqual([]);
        expect(exec(['ip', '-br', 'link', 'show', 'type', 'veth'])).not.toMatch(/^veth/m);
      });
    }
  }

  test('a route with all it can say passes through our host-local to a delegate of another kind', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('dele');
    node.writeSubnetEnv({ dual: false });
    installOurs(`${node.dir}/bin`, 'host-local');
    const route = { dst: '10.50.0.0/16', mtu: 1400, advmss: 1300, priority: 77, table: 100, scope: 0 };
    const ipam = { dataDir: `${node.dir}/networks`, routes: [route] };
    const config = {
      cniVersion: '0.3.1',
      name: 'cbr0',
      ipam: { type: 'host-local', subnet: '10.1.0.0/24', ...ipam },
    };
    const call = { containerId: 'p', netns: pod.path, config };
    expect((await addPod('host-local', call)).routes).toEqual([route]);
    await must('host-local', { ...call, command: 'DEL' });
  });

  test('a failing delegate: ADD leaves nothing, its words come through', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('dele');
    node.writeSubnetEnv({ dual: false });
    const config = node.flannelConfig({ delegate: { type: 'macvlan', master: 'nosuch0' } });
    const call = { containerId: 'p', netns: pod.path, config };
    const refused = await callPlugin('flannel', { ...call, command: 'ADD' });
    expect(errorOf(refused.stdout).msg).toBe('plugin macvlan: Link not found');
    expect(left(node)).toEqual([]);
  });
});

interface RouteJson {
  readonly dst: string;
  readonly gateway?: string;
  readonly table?: string;
  readonly scope?: string;
  readonly metric?: number;
  readonly metrics?: readonly { readonly mtu?: number; readonly advmss?: number }[];
}

describeInNetns(import.meta.path, 'routes of an address manager', () => {
  test('mtu, advmss, priority, table and scope are in the result and in the pod, and CHECK misses them', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('dele');
    const routes = [
      { dst: '10.50.0.0/16', mtu: 1400, advmss: 1300, priority: 77 },
      { dst: '10.51.0.0/16', gw: '10.244.1.9', table: 100 },
      { dst: '2001:db8:9::/48', mtu: 1300, advmss: 1200, priority: 50, table: 101 },
      // RT_SCOPE_SITE: of those with a name the widest that may have a gateway.
      { dst: '10.52.0.0/16', scope: 200 },
      { dst: '0.0.0.0/0', gw: '10.244.1.1', priority: 5 },
    ];
    const ipam = {
      type: 'host-local',
      dataDir: `${node.dir}/networks`,
      ranges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: '2001:cafe:42:1::/64' }]],
      routes,
    };
    const config = node.bridgeConfig({ cniVersion: '1.1.0', isDefaultGateway: true, ipam });
    const call = { containerId: 'p', netns: pod.path, config };
    const prevResult = await addPod('bridge', call);
    expect(prevResult.routes).toEqual([...routes, { dst: '::/0', gw: '2001:cafe:42:1::1' }]);
    const find = (dst: string, table: string) => {
      const family = dst.includes(':') ? '-6' : '-4';
      const all = json(['ip', '-n', pod.name, '-j', family, 'route', 'show', 'table', table]);
      return all.find((route) => route['dst'] === dst) as RouteJson | undefined;
    };
    expect(find('10.50.0.0/16', 'main')).toMatchObject({
      gateway: '10.244.1.1',
      metric: 77,
      metrics: [{ mtu: 1400, advmss: 1300 }],
    });
    expect(find('10.51.0.0/16', '100')).toMatchObject({ gateway: '10.244.1.9' });
    expect(find('10.51.0.0/16', 'main')).toBeUndefined();
    expect(find('2001:db8:9::/48', '101')).toMatchObject({
      metric: 50,
      metrics: [{ mtu: 1300, advmss: 1200 }],
    });
    expect(find('10.52.0.0/16', 'main')).toMatchObject({ gateway: '10.244.1.1', scope: 'site' });
    expect(find('default', 'main')).toMatchObject({ gateway: '10.244.1.1', metric: 5 });

    const check = { ...call, command: 'CHECK', config: { ...config, prevResult } };
    await must('bridge', check);
    pod.exec(['ip', 'route', 'delete', '10.51.0.0/16', 'table', '100']);
    expect(errorOf((await callPlugin('bridge', check)).stdout).msg).toContain('10.51.0.0/16');
    await must('bridge', { ...call, command: 'DEL' });
    expect(node.reservations()).toEqual([]);
  });
});
