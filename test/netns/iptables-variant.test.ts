import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules } from '#traffic/rules.ts';
import { describeInNetns, must, run } from '../support/netns.ts';

const rules = trafficRules({
  families: [
    { network: [Cidr.parse('10.244.0.0/16')], subnet: Cidr.parse('10.244.1.0/24') },
    { network: [Cidr.parse('2001:cafe:42::/56')], subnet: Cidr.parse('2001:cafe:42:1::/64') },
  ],
  ipMasq: true,
  forward: true,
  randomFully: true,
});
const { env } = process;
const VARIANTS = ['nft', 'legacy'] as const;

/** Chains of ours, by variant and family. */
function ours(variant: string): number {
  const saved = ['iptables', 'ip6tables'].map((name) => must([`${name}-${variant}-save`]));
  return saved.join('\n').match(/^:FLANNEL-/gm)?.length ?? 0;
}

function removeAll(): void {
  for (const family of ['iptables', 'ip6tables']) {
    for (const variant of VARIANTS) {
      for (const table of ['mangle', 'nat', 'filter']) {
        run([`${family}-${variant}`, '-t', table, '-F']);
        run([`${family}-${variant}`, '-t', table, '-X']);
      }
    }
  }
}

describeInNetns(import.meta.path, 'nft and legacy iptables on one host', () => {
  for (const [at, variant] of VARIANTS.entries()) {
    const other = VARIANTS[1 - at] ?? 'nft';

    test(`the kubelet's chain in ${variant} decides, and what an earlier run left in ${other} goes`, async () => {
      removeAll();
      // A run before the kubelet: somebody had rules in the other variant.
      must([`iptables-${other}`, '-A', 'INPUT', '-j', 'ACCEPT']);
      await createTraffic({ mode: 'iptables', env }).backend.ensure(rules);
      expect([ours(variant), ours(other)]).toEqual([0, 4]);
      must([`ip6tables-${variant}`, '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT']);
      const { backend } = createTraffic({ mode: 'iptables', env });
      const { repaired } = await backend.ensure(rules);
      expect(repaired).toContain('iptables filter FLANNEL-FWD: is missing');
      expect(repaired).toContain(`ip6tables-${other} nat FLANNEL-POSTRTG: is left`);
      expect(backend.program).toBe(`iptables-${variant} (chain KUBE-IPTABLES-HINT)`);
      expect([ours(variant), ours(other)]).toEqual([4, 0]);
      expect(await backend.ensure(rules)).toEqual({ changed: false, repaired: [] });
      expect(must([`iptables-${other}-save`])).toContain('-A INPUT -j ACCEPT');
    });

    test(`without a kubelet: where others have more rules, ${variant}`, async () => {
      removeAll();
      must([`iptables-${other}`, '-A', 'INPUT', '-j', 'ACCEPT']);
      for (const port of ['1', '2'])
        must([`iptables-${variant}`, '-A', 'INPUT', '-p', 'tcp', '--dport', port, '-j', 'DROP']);
      const { backend } = createTraffic({ mode: 'iptables', env });
      await backend.ensure(rules);
      expect([ours(variant), ours(other)]).toEqual([4, 0]);
    });

    test(`nftables mode clears ours in ${variant}, too, and in both at once`, async () => {
      removeAll();
      for (const each of [variant, other, variant]) {
        must([`iptables-${each}`, '-A', 'INPUT', '-j', 'ACCEPT']);
        must([`iptables-${each}`, '-A', 'INPUT', '-j', 'ACCEPT']);
        await createTraffic({ mode: 'iptables', env }).backend.ensure(rules);
        must([`iptables-${each}`, '-F', 'INPUT']);
      }
      const both = `*filter\n:FLANNEL-FWD - [0:0]\n-A FORWARD -j FLANNEL-FWD\nCOMMIT\n`;
      for (const each of VARIANTS)
        Bun.spawnSync([`iptables-${each}-restore`, '--noflush'], { stdin: Buffer.from(both) });
      const { removed } = await createTraffic({ mode: 'nftables', env }).clearOther();
      expect(removed.length).toBeGreaterThan(1);
      expect(VARIANTS.map(ours)).toEqual([0, 0]);
    });
  }

  test('nothing to go by: the plain name, whose rules are then found again', async () => {
    removeAll();
    const first = createTraffic({ mode: 'iptables', env }).backend;
    await first.ensure(rules);
    expect(first.program).toStartWith('iptables (');
    const next = createTraffic({ mode: 'iptables', env }).backend;
    expect(await next.ensure(rules)).toEqual({ changed: false, repaired: [] });
    const { removed } = await next.clear();
    expect([removed.length, ...VARIANTS.map(ours)]).toEqual([4, 0, 0]);
  });

  test('the legacy variant is not made to load tables by being looked at', async () => {
    removeAll();
    const tables = '/proc/net/ip_tables_names';
    const before = run(['cat', tables]).stdout;
    await createTraffic({ mode: 'nftables', env }).clearOther();
    expect(run(['cat', tables]).stdout).toBe(before);
  });
});
