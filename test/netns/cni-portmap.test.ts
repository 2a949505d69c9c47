import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { addPod, callPlugin, must, NodeFiles } from '../support/cni.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must as exec, NamedNetns } from '../support/netns.ts';

const MAPPINGS = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 8053, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
];

/** Rules as nft prints them, one list per table: braces and blanks play no part. */
function ruleset(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

describeInNetns(import.meta.path, 'port mappings and masquerading', () => {
  test('the rules are those of the original', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('cni');
    node.writeSubnetEnv();
    const runtimeConfig = { ips: ['10.244.1.9', '2001:cafe:42:1::9'] };
    const call = {
      containerId: 'cont-nftables',
      netns: pod.path,
      config: node.flannelConfig({ runtimeConfig }),
    };
    const prevResult = await addPod('flannel', call);
    const config = {
      cniVersion: '1.0.0',
      name: 'cbr0',
      type: 'portmap',
      backend: 'nftables',
      prevResult,
      runtimeConfig: { portMappings: MAPPINGS },
    };
    expect(await addPod('portmap', { ...call, config })).toEqual(prevResult);
    const recorded = readFileSync(`${import.meta.dir}/../fixtures/cni/portmap-nft.txt`, 'utf8');
    const live = `${exec(['nft', 'list', 'table', 'ip', 'cni_hostport'])}${exec(['nft', 'list', 'table', 'ip6', 'cni_hostport'])}`;
    expect(ruleset(live)).toEqual(ruleset(recorded));
    await must('portmap', { ...call, command: 'CHECK', config });

    const server = Bun.spawn([
      'ip',
      'netns',
      'exec',
      pod.name,
      process.execPath,
      '-e',
      'Bun.serve({ hostname: "::", port: 80, fetch: () => new Response("pod") }); setTimeout(() => process.exit(), 120000)',
    ]);
    try {
      exec(['ip', 'link', 'set', 'lo', 'up']);
      await eventually(async () => {
        const response = await fetch('http://127.0.0.1:8080/', { signal: AbortSignal.timeout(2000) });
        expect(await response.text()).toBe('pod');
      });
    } finally {
      server.kill();
      await server.exited;
    }

    // Again: nothing doubles. Without runtimeConfig: everything goes.
    await addPod('portmap', { ...call, config });
    expect(exec(['nft', 'list', 'table', 'ip', 'cni_hostport']).match(/cont-nftables/g)).toHaveLength(4);
    await must('portmap', { ...call, command: 'DEL', config: { ...config, runtimeConfig: undefined } });
    expect(exec(['nft', 'list', 'ruleset'])).not.toContain('cont-nftables');
    expect((await callPlugin('portmap', { ...call, command: 'CHECK', config })).code).toBe(1);
    await must('portmap', { ...call, command: 'DEL', config });
    await must('flannel', { ...call, command: 'DEL' });
  });

  test('without mappings the result passes through untouched and no rule is made', async () => {
    using pod = NamedNetns.create('cni');
    const prevResult = {
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: pod.path }],
      ips: [{ interface: 0, address: '10.0.0.2/24' }],
    };
    const config = { cniVersion: '0.4.0', name: 'n', type: 'portmap', prevResult };
    const call = { containerId: 'p', netns: pod.path, config };
    expect(await addPod('portmap', call)).toMatchObject(prevResult);
    const chained = await callPlugin('portmap', {
      ...call,
      command: 'ADD',
      config: { ...config, prevResult: undefined },
    });
    expect(JSON.parse(chained.stdout)).toMatchObject({ code: 7, msg: 'must be called as chained plugin' });
    for (const [extra, code] of [
      [{ backend: 'ipfw', runtimeConfig: { portMappings: MAPPINGS } }, 2],
      [{ runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 80, protocol: 'tcp' }] } }, 7],
      [{ runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 80, protocol: 'icmp' }] } }, 7],
    ] as const) {
      const refused = await callPlugin('portmap', {
        ...call,
        command: 'ADD',
        config: { ...config, ...extra },
      });
      expect(JSON.parse(refused.stdout)).toMatchObject({ code });
    }
  });
});
