import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { hasErrno } from '#base/errors.ts';
import { describeInNetns, must, run } from '../../support/netns.ts';
import { NODE, OUTSIDE, PortWorld } from '../../support/port-world.ts';

/** iptables' legacy variant under the usual names, in front of PATH. */
function preferLegacy(): string {
  const dir = mkdtempSync(`${tmpdir()}/pmap-legacy-`);
  mkdirSync(dir, { recursive: true });
  for (const name of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore'])
      symlinkSync('/usr/sbin/xtables-legacy-multi', `${dir}/${name}${suffix}`);
  }
  process.env['PATH'] = `${dir}:${process.env['PATH']}`;
  return dir;
}

const BACKENDS = [
  { name: 'nftables', config: { backend: 'nftables' }, legacy: false },
  { name: 'iptables', config: { backend: 'iptables' }, legacy: false },
  { name: 'iptables-legacy', config: { backend: 'iptables' }, legacy: true },
] as const;

for (const { name, config, legacy } of BACKENDS) {
  describeInNetns(import.meta.path, `port mappings by ${name}`, () => {
    if (legacy) {
      const dir = preferLegacy();
      afterAll(() => rmSync(dir, { recursive: true, force: true }));
    }
    suite(config);
  });
}

/** One suite for all backends: what a mapped port means does not depend on how it is made. */
function suite(config: object): void {
  const both = (hostPort: number, containerPort: number) =>
    ['tcp', 'udp'].map((protocol) => ({ hostPort, containerPort, protocol }));

  test('a port leads to the pod, from wherever one asks', async () => {
    await using world = new PortWorld(config);
    const pod = await world.pod('one');
    const other = await world.pod('two');
    await world.map(pod, both(8080, 80));
    for (const transport of ['tcp', 'udp'] as const) {
      expect(await world.outside.ask(transport, NODE.ipv4, 8080)).toBe(`one from ${OUTSIDE.ipv4}`);
      expect(await world.outside.ask(transport, NODE.ipv6, 8080)).toBe(`one from ${OUTSIDE.ipv6}`);
      expect(await world.node.ask(transport, '127.0.0.1', 8080)).toStartWith('one from ');
      expect(await world.node.ask(transport, NODE.ipv4, 8080)).toStartWith('one from ');
      expect(await world.node.ask(transport, NODE.ipv6, 8080)).toStartWith('one from ');
      expect(await other.peer.ask(transport, NODE.ipv4, 8080)).toStartWith('one from ');
      expect(await other.peer.ask(transport, NODE.ipv6, 8080)).toStartWith('one from ');
      // Hairpin: the pod asks itself through the node.
      expect(await pod.peer.ask(transport, NODE.ipv4, 8080)).toStartWith('one from ');
      expect(await pod.peer.ask(transport, NODE.ipv6, 8080)).toStartWith('one from ');
    }
    const check = await world.call(pod, 'CHECK', world.config(pod, both(8080, 80)));
    expect(check).toMatchObject({ code: 0 });
    await world.unmap(pod);
    expect(await world.outside.ask('tcp', NODE.ipv4, 8080)).toBeUndefined();
    expect(await world.node.ask('udp', '127.0.0.1', 8080)).toBeUndefined();
  });

  test('without snat the pod sees who asks, and masqAll hides everybody', async () => {
    await using world = new PortWorld(config);
    const pod = await world.pod('one');
    await world.map(pod, both(8080, 80), { snat: false });
    expect(await world.outside.ask('tcp', NODE.ipv4, 8080)).toBe(`one from ${OUTSIDE.ipv4}`);
    expect(await pod.peer.ask('tcp', NODE.ipv4, 8080)).toBeUndefined();
    await world.map(pod, both(8080, 80), { masqAll: true });
    expect(await world.outside.ask('tcp', NODE.ipv4, 8080)).toBe('one from 10.244.1.1');
    expect(await world.outside.ask('udp', NODE.ipv6, 8080)).toBe('one from 2001:cafe:42:1::1');
    // What does not come through the mapped port is left alone.
    expect(await world.outside.ask('tcp', pod.ips[0] ?? '', 80)).toBe(`one from ${OUTSIDE.ipv4}`);
  });

  test('port 53 of the node does not catch what only passes through', async () => {
    await using world = new PortWorld(config);
    const pod = await world.pod('dns');
    const other = await world.pod('two');
    await world.outside.serve('udp', 53, 'outside');
    await world.map(pod, [
      { hostPort: 53, containerPort: 53, protocol: 'udp' },
      { hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: OUTSIDE.ipv4 },
    ]);
    expect(await other.peer.ask('udp', OUTSIDE.ipv4, 53)).toStartWith('outside from ');
    expect(await other.peer.ask('udp', OUTSIDE.ipv6, 53)).toStartWith('outside from ');
    expect(await world.node.ask('udp', OUTSIDE.ipv4, 53)).toStartWith('outside from ');
    expect(await world.outside.ask('udp', NODE.ipv4, 53)).toStartWith('dns from ');
    expect(await world.outside.ask('udp', other.ips[0] ?? '', 53)).toStartWith('two from ');
  });

  test('hostIP: two pods share a port, and neither order of arrival hides one', async () => {
    await using world = new PortWorld(config);
    const [one, two, three] = [await world.pod('one'), await world.pod('two'), await world.pod('three')];
    const at = (hostIP?: string) => [
      { hostPort: 8080, containerPort: 80, ...(hostIP === undefined ? {} : { hostIP }) },
    ];
    await world.map(one, at(NODE.ipv4));
    expect(await world.outside.ask('tcp', NODE.second, 8080)).toBeUndefined();
    expect(await world.outside.ask('tcp', NODE.ipv6, 8080)).toBeUndefined();
    await world.map(three, at());
    await world.map(two, at(NODE.second));
    const seen = async () => [
      await world.outside.ask('tcp', NODE.ipv4, 8080),
      await world.outside.ask('tcp', NODE.second, 8080),
      await world.node.ask('tcp', '127.0.0.1', 8080),
      await world.outside.ask('tcp', NODE.ipv6, 8080),
    ];
    const names = (await seen()).map((answer) => answer?.split(' ')[0]);
    expect(names).toEqual(['one', 'two', 'three', 'three']);
    for (const pod of [one, two, three]) {
      const mapped = at({ one: NODE.ipv4, two: NODE.second }[pod.name]);
      expect(await world.call(pod, 'CHECK', world.config(pod, mapped))).toMatchObject({ code: 0 });
    }
    await world.unmap(two);
    expect(await world.outside.ask('tcp', NODE.second, 8080)).toStartWith('three from ');
  });

  describe('UDP flows that are older than the pod', () => {
    test.each([0, 1200])('find it, and the next one after it, with %d others', async (others) => {
      await using world = new PortWorld(config);
      const [one, two] = [await world.pod('one'), await world.pod('two')];
      const mapping = [{ hostPort: 8053, containerPort: 53, protocol: 'udp' }];
      // Connections are tracked from the first mapping on.
      await world.map(one, both(9999, 80));
      const ask = async () => world.outside.ask('udp', NODE.ipv4, 8053, 40_000);
      // A long table is read in another way than a short one.
      await crowd(others);
      if (others > 0) expect(Number(must(['conntrack', '-C']))).toBeGreaterThan(1000);
      expect(await ask()).toBeUndefined();
      await world.map(one, mapping);
      expect(await ask()).toStartWith('one from ');
      await world.unmap(one);
      expect(await ask()).toBeUndefined();
      await world.map(two, mapping);
      expect(await ask()).toStartWith('two from ');
    });

    test('to other machines are not forgotten', async () => {
      await using world = new PortWorld(config);
      const [one, two] = [await world.pod('one'), await world.pod('two')];
      await world.outside.serve('udp', 8053, 'outside');
      await world.map(one, both(9999, 80));
      expect(await two.peer.ask('udp', OUTSIDE.ipv4, 8053, 40_001)).toStartWith('outside from ');
      await world.map(one, [{ hostPort: 8053, containerPort: 53, protocol: 'udp' }]);
      expect(must(['conntrack', '-L', '-p', 'udp', '--orig-port-src', '40001'])).toContain(OUTSIDE.ipv4);
    });
  });

  test('what a dead container left on the port is replaced', async () => {
    await using world = new PortWorld(config);
    const dead = await world.pod('dead');
    await world.map(dead, [...both(8080, 80), ...both(9090, 80)]);
    // The node lost it without a DEL.
    await world.remove(dead);
    const next = await world.pod('next');
    await world.map(next, both(8080, 80));
    expect(await world.outside.ask('tcp', NODE.ipv4, 8080)).toStartWith('next from ');
    expect(await world.outside.ask('udp', NODE.ipv6, 8080)).toStartWith('next from ');
    await world.unmap(next);
    expect(await world.outside.ask('tcp', NODE.ipv4, 8080)).toBeUndefined();
  });

  test('GC removes the mappings of those that the runtime does not know', async () => {
    await using world = new PortWorld(config);
    const [kept, lost] = [await world.pod('kept'), await world.pod('lost')];
    await world.map(kept, both(8080, 80));
    await world.map(lost, both(9090, 80));
    const valid = [{ containerID: 'kept', ifname: 'eth0' }];
    const gc = async (name: string) =>
      world.call(kept, 'GC', {
        ...world.config(kept, undefined),
        cniVersion: '1.1.0',
        name,
        'cni.dev/valid-attachments': valid,
      });
    expect(await gc('another')).toMatchObject({ code: 0 });
    expect(await world.outside.ask('tcp', NODE.ipv4, 9090)).toStartWith('lost from ');
    expect(await gc('cbr0')).toMatchObject({ code: 0 });
    expect(await world.outside.ask('tcp', NODE.ipv4, 9090)).toBeUndefined();
    expect(await world.outside.ask('tcp', NODE.ipv4, 8080)).toStartWith('kept from ');
  });

  test('many mappings, sctp among them, and 20 calls at once', async () => {
    await using world = new PortWorld(config);
    const pod = await world.pod('one');
    const many = Array.from({ length: 20 }, (_, at) => ({ hostPort: 10_000 + at, containerPort: 80 }));
    const sctp = { hostPort: 10_100, containerPort: 80, protocol: 'sctp' };
    const containers = Array.from({ length: 20 }, (_, at) => `c${at}`);
    await Promise.all(
      containers.map(async (name, at) =>
        world.map({ ...pod, name, result: shifted(pod.result, at) }, [
          { hostPort: 20_000 + at, containerPort: 80 },
        ]),
      ),
    );
    await world.map(pod, [...many, sctp]);
    expect(await world.outside.ask('tcp', NODE.ipv4, 10_000)).toStartWith('one from ');
    expect(await world.outside.ask('tcp', NODE.ipv4, 10_019)).toStartWith('one from ');
    expect(await world.call(pod, 'CHECK', world.config(pod, [...many, sctp]))).toMatchObject({ code: 0 });
    for (const [at, name] of containers.entries()) {
      const same = { ...pod, name, result: shifted(pod.result, at) };
      const wanted = world.config(same, [{ hostPort: 20_000 + at, containerPort: 80 }]);
      expect(await world.call(same, 'CHECK', wanted)).toMatchObject({ code: 0 });
    }
    await Promise.all(containers.map(async (name) => world.unmap({ ...pod, name })));
    const rules = rulesOf();
    for (const at of containers.keys()) expect(rules).not.toContain(String(20_000 + at));
    expect(rules).toContain('10019');
    expect(await world.call(pod, 'CHECK', world.config(pod, [...many, sctp]))).toMatchObject({ code: 0 });
  });
}

/** As many flows to a machine where nobody listens, or a few less. */
async function crowd(count: number): Promise<void> {
  const socket = await Bun.udpSocket({ socket: { error() {} } });
  for (let at = 0; at < count; at += 1) {
    try {
      socket.send('x', 20_000 + at, OUTSIDE.ipv4);
    } catch (error) {
      // The refusal of an earlier one.
      if (!hasErrno(error, 'ECONNREFUSED')) throw error;
    }
  }
  socket.close();
}

/** The result with other pod addresses: nobody is there. */
function shifted<T extends object>(result: T, by: number): T {
  const text = JSON.stringify(result);
  return JSON.parse(
    text
      .replaceAll(/10\.244\.1\.(\d+)\/24/g, `10.244.1.${100 + by}/24`)
      .replaceAll('42:1::', `42:1::${by + 1}:`),
  ) as T;
}

function rulesOf(): string {
  const programs = ['iptables-nft', 'ip6tables-nft', 'iptables-legacy', 'ip6tables-legacy'];
  return [['nft', 'list', 'ruleset'], ...programs.map((name) => [`${name}-save`])]
    .map((argv) => run(argv).stdout)
    .join('\n');
}
