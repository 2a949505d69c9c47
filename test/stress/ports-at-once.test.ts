import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { describeInNetns, must } from '../support/netns.ts';

const portmap = join(import.meta.dir, '../../dist/bin/portmap');
const COUNT = 120;

/** One call of the compiled plugin, as a runtime makes it; what it prints when it fails. */
async function call(verb: 'ADD' | 'DEL', n: number): Promise<string> {
  const config = {
    cniVersion: '1.0.0',
    name: 'n',
    type: 'portmap',
    backend: 'nftables',
    ...(verb === 'ADD' && {
      runtimeConfig: { portMappings: [{ hostPort: 20_000 + n, containerPort: 80, protocol: 'tcp' }] },
      prevResult: {
        cniVersion: '1.0.0',
        interfaces: [{ name: 'eth0', sandbox: '/run/netns/x' }],
        ips: [{ interface: 0, address: `10.244.1.${n + 2}/24` }],
      },
    }),
  };
  const child = Bun.spawn([portmap], {
    stdin: new TextEncoder().encode(JSON.stringify(config)),
    stdout: 'pipe',
    stderr: 'pipe',
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `c${n}`,
      CNI_NETNS: '/run/netns/x',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
    },
  });
  const text = await new Response(child.stdout).text();
  return (await child.exited) === 0 ? '' : text;
}

describeInNetns(import.meta.path, 'portmap in nftables, many at once', () => {
  test(`${COUNT} ADDs and ${COUNT} DELs at the same moment: each has its rule, none is left`, async () => {
    must(['ip', 'link', 'add', 'cni0', 'type', 'bridge']);
    must(['ip', 'addr', 'add', '10.244.1.1/24', 'dev', 'cni0']);
    must(['ip', 'link', 'set', 'cni0', 'up']);
    const numbers = Array.from({ length: COUNT }, (_, n) => n);
    const ruled = () =>
      must(['nft', 'list', 'table', 'ip', 'cni_hostport']).match(/tcp dport \d+ dnat to/g) ?? [];
    expect((await Promise.all(numbers.map((n) => call('ADD', n)))).filter((error) => error !== '')).toEqual(
      [],
    );
    expect(ruled()).toHaveLength(COUNT);
    expect((await Promise.all(numbers.map((n) => call('DEL', n)))).filter((error) => error !== '')).toEqual(
      [],
    );
    expect(ruled()).toEqual([]);
  });
});
