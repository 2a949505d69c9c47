import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { addPod, callPlugin, errorOf, must, REFERENCE, type Call } from '../../support/cni.ts';
import { describeInNetns, must as exec, NamedNetns, run } from '../../support/netns.ts';

const MAPPINGS = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 8053, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
];
const THEIRS = `${REFERENCE}/portmap`;
const OURS = 'portmap';

/** One call for a pod whose interface is only claimed: rules do not ask whether it is there. */
function callFor(pod: NamedNetns, containerId: string, extra: object = {}): Omit<Call, 'command'> {
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: pod.path }],
    ips: [
      { interface: 0, address: '10.244.1.8/24' },
      { interface: 0, address: '2001:cafe:42:1::8/64' },
    ],
  };
  const config = {
    cniVersion: '1.0.0',
    name: 'cbr0',
    type: 'portmap',
    prevResult,
    runtimeConfig: { portMappings: MAPPINGS },
    ...extra,
  };
  return { containerId, netns: pod.path, config };
}

/** Table nat of both families without counters and dates. */
function saved(): string {
  return ['iptables-save', 'ip6tables-save']
    .map((program) => exec([program, '-t', 'nat']))
    .join('')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\[\d+:\d+\]/g, '[0:0]');
}

function nft(): string {
  return exec(['nft', '-s', 'list', 'ruleset']);
}

describeInNetns(import.meta.path, 'the rules of iptables', () => {
  exec(['ip', 'link', 'set', 'lo', 'up']);

  test('are those of the original', async () => {
    using pod = NamedNetns.create('pmap');
    const call = callFor(pod, 'cont-iptables', { backend: 'iptables' });
    const recorded = readFileSync(
      `${import.meta.dir}/../../fixtures/cni/portmap-iptables-save.txt`,
      'utf8',
    ).replaceAll(/^#.*\n/gm, '');
    await addPod(OURS, call);
    expect(saved()).toBe(recorded);
    // A second time nothing doubles.
    await addPod(OURS, call);
    expect(saved()).toBe(recorded);
    await must(OURS, { ...call, command: 'CHECK' });
    // Without a backend: iptables, where it works, as the original.
    await must(OURS, { ...call, command: 'DEL', config: { ...call.config, runtimeConfig: undefined } });
    expect(saved()).not.toContain('CNI-DN-');
    await addPod(OURS, callFor(pod, 'cont-iptables'));
    expect(saved()).toBe(recorded);
    await must(OURS, { ...call, command: 'DEL' });
    await must(OURS, { ...call, command: 'DEL' });
    expect(errorOf((await callPlugin(OURS, { ...call, command: 'CHECK' })).stdout).msg).toContain('CNI-DN-');
  });

  test('conditions, mark bit and mark chain', async () => {
    using pod = NamedNetns.create('pmap');
    exec(['iptables', '-t', 'nat', '-N', 'MY-MARK']);
    exec(['ip6tables', '-t', 'nat', '-N', 'MY-MARK']);
    const conditionsV4 = ['!', '-d', '192.0.2.0/24', '-m', 'comment', '--comment', 'it is "so" \\ $(x)'];
    const call = callFor(pod, 'cond', { conditionsV4, externalSetMarkChain: 'MY-MARK' });
    await addPod(OURS, call);
    const rules = saved();
    expect(rules).toContain('! -d 192.0.2.0/24 -p tcp');
    expect(rules).toContain('--comment "it is \\"so\\" \\\\ $(x)"');
    expect(rules).toContain('--dport 8080 -j MY-MARK');
    await must(OURS, { ...call, command: 'CHECK' });
    await must(OURS, { ...call, command: 'DEL' });
    const marked = callFor(pod, 'bit', { markMasqBit: 3 });
    await addPod(OURS, marked);
    expect(saved()).toContain('--set-xmark 0x8/0x8');
    await must(OURS, { ...marked, command: 'CHECK' });
    await must(OURS, { ...marked, command: 'DEL' });
    const bad = callFor(pod, 'bad', { conditionsV4: ['--no-such-match', 'x'] });
    const before = saved();
    const failed = await callPlugin(OURS, { ...bad, command: 'ADD' });
    expect(errorOf(failed.stdout).msg).toMatch(
      /^iptables-restore failed with exit code \d+: .*no-such-match/,
    );
    expect(saved()).toBe(before);
  });

  test('of others are not touched', async () => {
    using pod = NamedNetns.create('pmap');
    exec(['iptables', '-t', 'nat', '-A', 'PREROUTING', '-p', 'tcp', '--dport', '8080', '-j', 'RETURN']);
    exec(['iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '10.9.0.0/16', '-j', 'MASQUERADE']);
    exec(['nft', 'add', 'table', 'ip', 'mine']);
    exec(['nft', 'add', 'chain', 'ip', 'mine', 'c']);
    exec(['nft', 'add', 'rule', 'ip', 'mine', 'c', 'tcp', 'dport', '8080', 'accept', 'comment', 'x']);
    for (const backend of ['iptables', 'nftables']) {
      const call = callFor(pod, 'x', { backend });
      await addPod(OURS, call);
      await must(OURS, { ...call, command: 'DEL' });
    }
    expect(saved()).toContain('-A PREROUTING -p tcp -m tcp --dport 8080 -j RETURN');
    expect(saved()).toContain('-A POSTROUTING -s 10.9.0.0/16 -j MASQUERADE');
    expect(nft()).toContain('tcp dport 8080 accept comment "x"');
  });
});

describeInNetns(
  import.meta.path,
  'crossed lives with the original (Debian containernetworking-plugins)',
  () => {
    exec(['ip', 'link', 'set', 'lo', 'up']);

    for (const [adds, removes] of [
      [THEIRS, OURS],
      [OURS, THEIRS],
    ] as const) {
      test(`${adds} adds, ${removes} checks and removes`, async () => {
        using pod = NamedNetns.create('pmap');
        const call = callFor(pod, 'crossed', { backend: 'iptables' });
        await addPod(adds, call);
        if (removes === OURS) await must(OURS, { ...call, command: 'CHECK' });
        await must(removes, { ...call, command: 'DEL' });
        expect(saved()).not.toContain('CNI-DN-');
        expect(saved()).not.toContain('crossed');
      });
    }

    test('theirs checks what ours has added', async () => {
      using pod = NamedNetns.create('pmap');
      const dual = callFor(pod, 'crossed', { backend: 'iptables' });
      const interfaces = [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: pod.path }];
      const ips = [{ interface: 0, address: '10.244.1.8/24' }];
      const call = {
        ...dual,
        config: { ...dual.config, prevResult: { cniVersion: '1.0.0', interfaces, ips } },
      };
      await addPod(OURS, call);
      // Debian's version looks for the IPv4 rules in ip6tables, too, where it finds that program.
      const path = process.env['PATH'];
      const dir = mkdtempSync(`${tmpdir()}/pmap-four-`);
      try {
        symlinkSync('/usr/sbin/iptables', `${dir}/iptables`);
        process.env['PATH'] = dir;
        await must(THEIRS, { ...call, command: 'CHECK' });
        exec(['/usr/sbin/iptables', '-t', 'nat', '-D', 'OUTPUT', '1']);
        exec(['/usr/sbin/iptables', '-t', 'nat', '-F', 'CNI-HOSTPORT-DNAT']);
        expect((await callPlugin(THEIRS, { ...call, command: 'CHECK' })).code).toBe(1);
      } finally {
        process.env['PATH'] = path;
        rmSync(dir, { recursive: true });
      }
      await must(THEIRS, { ...call, command: 'DEL' });
      expect(saved()).not.toContain('CNI-DN-');
    });

    test('ours without runtimeConfig removes theirs, and an ADD of ours replaces theirs', async () => {
      using pod = NamedNetns.create('pmap');
      const call = callFor(pod, 'crossed', { backend: 'iptables' });
      await addPod(THEIRS, call);
      const theirs = saved();
      await addPod(OURS, call);
      expect(saved()).toBe(theirs);
      await must(OURS, { ...call, command: 'DEL', config: { ...call.config, runtimeConfig: undefined } });
      expect(saved()).not.toContain('CNI-DN-');
    });
  },
);

describeInNetns(import.meta.path, 'the rules of nftables', () => {
  exec(['ip', 'link', 'set', 'lo', 'up']);

  describe('beside the recording', () => {
    test('conditions stand in the container’s rule, masqAll in one', async () => {
      using pod = NamedNetns.create('pmap');
      const conditionsV4 = ['ip', 'daddr', '!=', '{ 127.0.0.0/8, 198.19.254.254 }'];
      const call = callFor(pod, 'cond', { conditionsV4, masqAll: true });
      await addPod(OURS, call);
      const rules = nft();
      expect(rules).toContain(
        'ip daddr != 127.0.0.0/8 ip daddr != 198.19.254.254 tcp dport 8080 dnat to 10.244.1.8:80 comment "cond"',
      );
      expect(rules).toContain('ct status dnat ip daddr 10.244.1.8 masquerade comment "cond"');
      expect(rules).toContain('ct status dnat ip6 daddr 2001:cafe:42:1::8 masquerade comment "cond"');
      await must(OURS, { ...call, command: 'CHECK' });
      await must(OURS, { ...call, command: 'DEL' });
      expect(nft()).not.toContain('cond');
    });

    test('what nft itself has written is read, checked and removed', async () => {
      using pod = NamedNetns.create('pmap');
      const call = callFor(pod, 'theirs', { backend: 'nftables' });
      await addPod(OURS, call);
      const before = nft();
      const script = exec(['nft', '-s', 'list', 'table', 'ip', 'cni_hostport']);
      exec(['nft', 'delete', 'table', 'ip', 'cni_hostport']);
      const fed = Bun.spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(script) });
      expect(fed.exitCode).toBe(0);
      await must(OURS, { ...call, command: 'CHECK' });
      // Their rules do not say their network: GC leaves them alone.
      const valid = { ...call.config, cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] };
      await must(OURS, { ...call, command: 'GC', config: valid });
      expect(exec(['nft', 'list', 'table', 'ip', 'cni_hostport'])).toContain('theirs');
      expect(exec(['nft', 'list', 'table', 'ip6', 'cni_hostport'])).not.toContain('theirs');
      await must(OURS, { ...call, command: 'DEL' });
      expect(nft()).not.toContain('theirs');
      expect(before).toContain('theirs');
    });

    test('a frame without `fib daddr type local`, as older versions left it, is mended', async () => {
      using pod = NamedNetns.create('pmap');
      run(['nft', 'delete', 'table', 'ip', 'cni_hostport']);
      const old =
        'table ip cni_hostport {\n chain hostports {\n }\n chain hostip_hostports {\n }\n chain prerouting {\n' +
        ' type nat hook prerouting priority -100\n jump hostip_hostports\n jump hostports\n }\n}\n';
      expect(Bun.spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(old) }).exitCode).toBe(0);
      const call = callFor(pod, 'mended', { backend: 'nftables' });
      await addPod(OURS, call);
      const chain = exec(['nft', 'list', 'chain', 'ip', 'cni_hostport', 'prerouting']);
      expect(chain).toContain('fib daddr type local jump hostports_all');
      expect(chain).not.toContain('jump hostip_hostports');
      await must(OURS, { ...call, command: 'DEL' });
    });
  });
});
