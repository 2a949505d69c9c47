import { expect, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { BIN } from '../support/cni-machine.ts';
import { addPod, callPlugin, errorOf, must, NodeFiles, REFERENCE } from '../support/cni.ts';
import { describeInNetns, json, NamedNetns, run } from '../support/netns.ts';

/**
 * The store as the original knows it: name to content. Our side files are none of its business; the modes are those of its
 * later versions.
 */
function store(dir: string): Record<string, string> {
  const entries = readdirSync(dir).filter((name) => statSync(`${dir}/${name}`).isFile());
  return Object.fromEntries(entries.sort().map((name) => [name, readFileSync(`${dir}/${name}`, 'utf8')]));
}

/** A result as an object; Debian's version writes an empty `dns`, later ones leave it out. */
function parsed(stdout: string): unknown {
  if (stdout === '') return '';
  const { dns, ...rest } = JSON.parse(stdout) as Record<string, unknown>;
  return JSON.stringify(dns ?? {}) === '{}' ? rest : { ...rest, dns };
}

const SINGLE = { subnet: '10.1.0.0/24' };
const IPAM: Readonly<Record<string, object>> = {
  'one subnet': SINGLE,
  'start, end and gateway': {
    ranges: [
      [{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.20', rangeEnd: '10.1.0.22', gateway: '10.1.0.21' }],
    ],
  },
  'two ranges in a set': {
    ranges: [[{ subnet: '10.1.0.0/30' }, { subnet: '10.1.1.0/30' }]],
  },
  'dual stack with routes': {
    ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: '2001:db8:1::/64' }]],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }, { dst: '10.9.0.0/16', gw: '10.1.0.9' }],
  },
  '/31, /30 and /126': {
    ranges: [[{ subnet: '10.1.0.4/30' }], [{ subnet: '2001:db8:1::/126' }]],
  },
  'a host address as subnet': { subnet: '10.1.0.7/24' },
  'a subnet too small': { subnet: '10.1.0.0/31' },
  'start outside': { subnet: '10.1.0.0/24', rangeStart: '10.2.0.1' },
  'end before start': { subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.3' },
  'overlapping sets': { ranges: [[SINGLE], [{ subnet: '10.1.0.0/16' }]] },
  'families mixed in a set': { ranges: [[SINGLE, { subnet: '2001:db8:1::/64' }]] },
  'no range': {},
};

describeInNetns(import.meta.path, 'host-local beside the original', () => {
  for (const [what, ipam] of Object.entries(IPAM)) {
    for (const cniVersion of ['0.2.0', '0.3.1', '1.0.0']) {
      test(`${what}, cniVersion ${cniVersion}: the same answers and the same store`, async () => {
        const seen: unknown[] = [];
        for (const dir of [REFERENCE, BIN]) {
          using node = new NodeFiles();
          const dataDir = `${node.dir}/networks`;
          const config = { cniVersion, name: 'n', ipam: { type: 'host-local', dataDir, ...ipam } };
          const said: unknown[] = [];
          // Four pods, of which the second goes and comes again: round robin, and a range that is used up.
          for (const [command, containerId] of [
            ['ADD', 'a'],
            ['ADD', 'b'],
            ['DEL', 'b'],
            ['ADD', 'c'],
            ['ADD', 'd'],
            ['ADD', 'b'],
            ['DEL', 'nobody'],
            ['DEL', 'a'],
          ] as const) {
            const call = { command, containerId, netns: '/run/netns/x', config };
            const { code, stdout } = await callPlugin(`${dir}/host-local`, call);
            // The words of errors are our own; our DEL does without a range, theirs refuses a wrong one.
            if (command === 'DEL' && dir === BIN) expect(code).toBe(0);
            if (command === 'DEL') continue;
            said.push([command, containerId, code, code === 0 ? parsed(stdout) : '']);
          }
          const on = run(['test', '-d', `${dataDir}/n`]).code === 0 ? store(`${dataDir}/n`) : 'none';
          seen.push({ said, on });
        }
        expect(seen[1]).toEqual(seen[0]);
      });
    }
  }

  test('requested addresses by all ways: the same answers', async () => {
    const asked: [string, object, string | undefined][] = [
      ['CNI_ARGS', {}, 'IP=10.1.0.50'],
      ['args', { args: { cni: { ips: ['10.1.0.51'] } } }, undefined],
      ['runtimeConfig', { runtimeConfig: { ips: ['10.1.0.52/24'] } }, undefined],
      ['outside', { runtimeConfig: { ips: ['192.0.2.1'] } }, undefined],
      ['the gateway', { runtimeConfig: { ips: ['10.1.0.1'] } }, undefined],
      ['the network', { runtimeConfig: { ips: ['10.1.0.0'] } }, undefined],
      ['the broadcast', { runtimeConfig: { ips: ['10.1.0.255'] } }, undefined],
      ['two of a range', { runtimeConfig: { ips: ['10.1.0.53', '10.1.0.54'] } }, undefined],
      ['ipRanges', { runtimeConfig: { ipRanges: [[{ subnet: '10.7.0.0/24' }]] } }, undefined],
    ];
    for (const [what, extra, args] of asked) {
      const seen: unknown[] = [];
      for (const dir of [REFERENCE, BIN]) {
        using node = new NodeFiles();
        const ipam = { type: 'host-local', dataDir: `${node.dir}/networks`, ...SINGLE };
        const config = { cniVersion: '1.0.0', name: 'n', ipam, ...extra };
        const call = { command: 'ADD', containerId: 'a', netns: '/run/netns/x', config };
        const { code, stdout } = await callPlugin(
          `${dir}/host-local`,
          args === undefined ? call : { ...call, args },
        );
        seen.push([what, code, code === 0 ? parsed(stdout) : '']);
      }
      expect(seen[1]).toEqual(seen[0]);
    }
  });

  test('a store of one is used up and freed by the other', async () => {
    for (const [fills, frees] of [
      [REFERENCE, BIN],
      [BIN, REFERENCE],
    ] as const) {
      using node = new NodeFiles();
      const ipam = { type: 'host-local', dataDir: `${node.dir}/networks`, subnet: '10.1.0.0/29' };
      const config = { cniVersion: '1.0.0', name: 'n', ipam };
      const ids = ['a', 'b', 'c', 'd', 'e'];
      const call = (containerId: string) => ({ containerId, netns: '/run/netns/x', config });
      for (const id of ids) await addPod(`${fills}/host-local`, call(id));
      const full = await callPlugin(`${frees}/host-local`, { ...call('f'), command: 'ADD' });
      expect(full.code).toBe(1);
      expect(errorOf(full.stdout).msg).toContain('no IP addresses available');
      for (const id of ids) await must(`${frees}/host-local`, { ...call(id), command: 'DEL' });
      expect(node.reservations().filter((path) => !path.includes('.boot'))).toEqual([]);
    }
  });
});

const BRIDGES: Readonly<Record<string, object>> = {
  plain: {},
  'gateway only': { isDefaultGateway: false, isGateway: true },
  'layer 2': { isDefaultGateway: false, ipam: {} },
  'no hairpin, promiscuous': { hairpinMode: false, promiscMode: true },
  'own MTU': { mtu: 1400 },
  'MAC by args': { args: { cni: { mac: '02:00:00:00:00:aa' } } },
  'MAC by runtimeConfig': { runtimeConfig: { mac: '02:00:00:00:00:bb' } },
};

/** Links and addresses of a namespace as `ip -j` has them, without what differs from run to run. */
function view(netns: string | undefined): unknown {
  const ip = netns === undefined ? ['ip'] : ['ip', '-n', netns];
  const given = (mac: unknown) => (String(mac).startsWith('02:00:00:00:00:') ? mac : 'by chance');
  const links = json([...ip, '-j', '-d', 'addr', 'show']).map((link) => {
    const slave = (link['linkinfo'] as { info_slave_data?: Record<string, unknown> } | undefined)
      ?.info_slave_data;
    const addresses = link['addr_info'] as {
      scope: string;
      local: string;
      prefixlen: number;
      broadcast?: string;
    }[];
    return {
      name: String(link['ifname']).replace(/^veth.*/, 'veth'),
      mtu: link['mtu'],
      state: link['operstate'],
      master: link['master'],
      promiscuous: (link['flags'] as string[]).includes('PROMISC'),
      mac: link['ifname'] === 'eth0' ? given(link['address']) : '',
      hairpin: slave?.['hairpin'],
      isolated: slave?.['isolated'],
      learning: slave?.['learning'],
      addresses: addresses
        .filter(({ scope }) => scope === 'global')
        .map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast]),
    };
  });
  const routes = ['-4', '-6'].flatMap((family) => json([...ip, '-j', family, 'route', 'show']));
  const wanted = routes.filter((route) => !/^(fe80|ff00|multicast)/.test(String(route['dst'])));
  return {
    links: links.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    routes: wanted
      .map(({ dst, gateway, dev, scope, prefsrc, type, metric }) =>
        JSON.stringify([dst, gateway, String(dev).replace(/^veth.*/, 'veth'), scope, prefsrc, type, metric]),
      )
      .toSorted(),
  };
}

describeInNetns(import.meta.path, 'bridge and loopback beside the original', () => {
  for (const [what, extra] of Object.entries(BRIDGES)) {
    test(`bridge, ${what}: the same node and the same pod; the other one removes it`, async () => {
      const seen: unknown[] = [];
      for (const [adds, removes] of [
        [REFERENCE, BIN],
        [BIN, REFERENCE],
      ] as const) {
        run(['ip', 'link', 'delete', 'cni0']);
        using node = new NodeFiles();
        using pod = NamedNetns.create('diff');
        const config = node.bridgeConfig(extra);
        const call = { containerId: 'p', netns: pod.path, config };
        const prevResult = await addPod(`${adds}/bridge`, call);
        // Carrier and detection take a moment at theirs.
        await Bun.sleep(100);
        seen.push({ node: view(undefined), pod: view(pod.name) });
        const withResult = { ...config, prevResult };
        await must(`${removes}/bridge`, { ...call, command: 'DEL', config: withResult });
        expect(json(['ip', '-j', 'link', 'show', 'master', 'cni0'])).toEqual([]);
        expect(json(['ip', '-n', pod.name, '-j', 'link', 'show'])).toHaveLength(1);
        expect(node.reservations().filter((path) => !path.includes('.boot'))).toEqual([]);
      }
      expect(seen[1]).toEqual(seen[0]);
    });
  }

  for (const cniVersion of ['0.2.0', '0.3.1', '0.4.0', '1.0.0']) {
    test(`loopback, cniVersion ${cniVersion}: the same result; CHECK and DEL by the other`, async () => {
      const seen: unknown[] = [];
      for (const [adds, other] of [
        [REFERENCE, BIN],
        [BIN, REFERENCE],
      ] as const) {
        using pod = NamedNetns.create('diff');
        const config = { cniVersion, name: 'lo', type: 'loopback' };
        const call = { containerId: 'p', netns: pod.path, config, ifName: 'lo' };
        const result = await addPod(`${adds}/loopback`, call);
        // Debian's version writes the 1.0.0 form whatever was asked for.
        if (cniVersion === '1.0.0') seen.push(parsed(JSON.stringify(result).replaceAll(pod.path, 'NETNS')));
        if (cniVersion === '0.4.0' || cniVersion === '1.0.0')
          await must(`${other}/loopback`, {
            ...call,
            command: 'CHECK',
            config: { ...config, prevResult: result },
          });
        await must(`${other}/loopback`, { ...call, command: 'DEL' });
        expect(pod.exec(['ip', '-br', 'link', 'show', 'lo'])).toContain('DOWN');
      }
      expect(seen[1]).toEqual(seen[0]);
    });
  }
});
