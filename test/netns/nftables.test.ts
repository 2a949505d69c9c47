import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { NETLINK } from '#netlink/connection.ts';
import { NetlinkMonitor } from '#netlink/monitor.ts';
import * as nft from '#nftables/build.ts';
import { differences } from '#nftables/compare.ts';
import { Nftables } from '#nftables/connection.ts';
import { touchedTable } from '#nftables/notification.ts';
import { PRIORITY, type Chain, type Rule, type Table } from '#nftables/objects.ts';
import { NFNLGRP_NFTABLES } from '#nftables/wire.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must } from '../support/netns.ts';

const COMMENT = 'cont-nftables';

function chain(name: string, rules: Rule[], hook?: Chain['hook']): Chain {
  return { name, rules, hook };
}

/** The table of the reference port mapping plugin. */
function hostportTable(family: 'ip' | 'ip6', hostports: Rule[], masquerading: Rule[]): Table {
  const nat = (point: 'prerouting' | 'output' | 'postrouting', priority: number) =>
    ({ type: 'nat', point, priority, policy: 'accept' }) as const;
  const local = [nft.rule([nft.fibDaddrLocal(), nft.jump('hostports_all')])];
  return {
    family,
    name: 'cni_hostport',
    comment: 'CNI portmap plugin',
    chains: [
      chain('hostports', hostports),
      chain('hostip_hostports', []),
      chain('hostports_all', [nft.rule([nft.jump('hostip_hostports')]), nft.rule([nft.jump('hostports')])]),
      chain('prerouting', local, nat('prerouting', PRIORITY.dstnat)),
      chain('output', local, nat('output', PRIORITY.dstnat)),
      chain('masquerading', masquerading, nat('postrouting', PRIORITY.srcnat)),
    ],
  };
}

function hostportTables(): Table[] {
  const host = (ip: string) => Cidr.parse(`${ip}/${ip.includes(':') ? 128 : 32}`);
  const masq = (from: string, to: string) =>
    nft.rule([nft.saddr('==', host(from)), nft.daddr('==', host(to)), nft.masquerade()], COMMENT);
  const [pod, pod6] = ['10.244.1.9', '2001:cafe:42:1::9'];
  return [
    hostportTable(
      'ip',
      [
        nft.rule([nft.dport('tcp', 8080), nft.dnat(Ip.parse(pod), 80)], COMMENT),
        nft.rule(
          [nft.daddr('==', host('127.0.0.1')), nft.dport('udp', 8053), nft.dnat(Ip.parse(pod), 53)],
          COMMENT,
        ),
      ],
      [masq(pod, pod), masq('127.0.0.1', pod)],
    ),
    hostportTable(
      'ip6',
      [nft.rule([nft.dport('tcp', 8080), nft.dnat(Ip.parse(pod6), 80)], COMMENT)],
      [masq(pod6, pod6)],
    ),
  ];
}

/** One rule of every form the builder knows, with what nft prints for it. */
const FORMS: readonly (readonly [string, Rule])[] = [
  ['meta mark 0x00004000 accept', nft.rule([nft.mark('==', 0x4000), nft.accept])],
  ['meta mark & 0x00004000 == 0x00004000 drop', nft.rule([nft.mark('==', 0x4000, 0x4000), nft.drop])],
  [
    'meta mark & 0x80000f00 != 0x80000100 return',
    nft.rule([nft.mark('!=', 0x80000100, 0x80000f00), nft.back]),
  ],
  [
    'iifname "cni0" oifname != "eth0" counter packets 0 bytes 0',
    nft.rule([nft.iifname('==', 'cni0'), nft.oifname('!=', 'eth0'), nft.counter()]),
  ],
  ['meta l4proto tcp goto other', nft.rule([nft.l4proto('tcp'), nft.goTo('other')])],
  ['udp sport 53 jump other', nft.rule([nft.sport('udp', 53), nft.jump('other')])],
  ['sctp dport 65535 accept', nft.rule([nft.dport('sctp', 65535), nft.accept])],
  ['fib daddr type local accept', nft.rule([nft.fibDaddrLocal(), nft.accept])],
  ...['10.1.2.3', '10.1.2.0/23', '10.0.0.0/9', '128.0.0.0/1', '0.0.0.0/0'].map((text) => {
    const cidr = Cidr.parse(text.includes('/') ? text : `${text}/32`);
    return [`ip daddr != ${text} accept`, nft.rule([nft.daddr('!=', cidr), nft.accept])] as const;
  }),
];

describeInNetns(import.meta.path, 'nf_tables', () => {
  test('the port mapping ruleset is what the reference plugin leaves', () => {
    using nftables = Nftables.open();
    for (const table of hostportTables()) nftables.replace(table);
    expect(must(['nft', 'list', 'ruleset'])).toBe(golden('cni/portmap-nft.txt'));
    for (const table of hostportTables()) {
      expect(differences(table, nftables.read(table))).toEqual([]);
      expect(nftables.delete(table)).toBe(true);
    }
    expect(must(['nft', 'list', 'ruleset'])).toBe('');
  });

  test('nft prints every form as it is meant, and it reads back equal', () => {
    using nftables = Nftables.open();
    const table: Table = {
      family: 'ip',
      name: 'forms',
      chains: [
        chain(
          'forms',
          FORMS.map(([, rule]) => rule),
        ),
        chain('other', []),
      ],
    };
    nftables.replace(table);
    const listed = must(['nft', 'list', 'chain', 'ip', 'forms', 'forms']).split('\n').slice(2, -3);
    expect(listed.map((line) => line.trim())).toEqual(FORMS.map(([text]) => text));
    expect(differences(table, nftables.read(table))).toEqual([]);
    nftables.delete(table);
  });

  test('what nft itself writes reads back as what the builder makes', () => {
    using nftables = Nftables.open();
    must(['nft', 'add table ip forms; add chain ip forms other; add chain ip forms forms']);
    for (const [text] of FORMS) must(['nft', `add rule ip forms forms ${text}`]);
    const live = nftables.read({ family: 'ip', name: 'forms' });
    const rules = FORMS.map(([, rule]) => rule);
    const wanted: Table = {
      family: 'ip',
      name: 'forms',
      chains: [chain('other', []), chain('forms', rules)],
    };
    expect(differences(wanted, live)).toEqual([]);
    nftables.delete(wanted);
  });

  test('a table for both families takes addresses behind a family match', () => {
    using nftables = Nftables.open();
    const sources = ['10.0.0.0/8', '2001:cafe:42::/56'].map((text) => Cidr.parse(text));
    const rules = sources.map((cidr) =>
      nft.rule([nft.nfproto(cidr.family), nft.saddr('==', cidr), nft.accept]),
    );
    const table: Table = { family: 'inet', name: 'both', chains: [chain('a', rules)] };
    nftables.replace(table);
    const listed = must(['nft', 'list', 'chain', 'inet', 'both', 'a']).split('\n').slice(2, -3);
    expect(listed.map((line) => line.trim())).toEqual([
      'ip saddr 10.0.0.0/8 accept',
      'ip6 saddr 2001:cafe:42::/56 accept',
    ]);
    expect(differences(table, nftables.read(table))).toEqual([]);
    nftables.delete(table);
  });

  test('a transaction with a bad step changes nothing and names the step', () => {
    using nftables = Nftables.open();
    const key = { family: 'ip', name: 'half' } as const;
    const rule = nft.rule([nft.jump('nowhere')]);
    expect(() =>
      nftables.apply([
        { do: 'add table', table: key },
        { do: 'add chain', table: key, chain: { name: 'a' } },
        { do: 'add rule', table: key, chain: 'a', rule },
      ]),
    ).toThrow('add a rule to chain ip half a: no such file or object (ENOENT)');
    expect(nftables.read(key)).toBeUndefined();
    expect(nftables.delete(key)).toBe(false);
  });

  test('rules are inserted, appended, deleted by handle and flushed', () => {
    using nftables = Nftables.open();
    const table = { family: 'ip6', name: 'steps' } as const;
    const rule = (port: number) => nft.rule([nft.dport('tcp', port), nft.accept], `port ${port}`);
    const ports = () =>
      nftables.read(table)?.chains.flatMap(({ rules }) => rules.map(({ comment }) => comment));
    nftables.apply([
      { do: 'add table', table },
      { do: 'add chain', table, chain: { name: 'a' } },
      { do: 'add rule', table, chain: 'a', rule: rule(2) },
      { do: 'add rule', table, chain: 'a', rule: rule(3) },
      { do: 'insert rule', table, chain: 'a', rule: rule(1) },
    ]);
    expect(ports()).toEqual(['port 1', 'port 2', 'port 3']);
    const handle = nftables.read(table)?.chains[0]?.rules[1]?.handle ?? 0n;
    nftables.apply([{ do: 'delete rule', table, chain: 'a', handle }]);
    expect(ports()).toEqual(['port 1', 'port 3']);
    nftables.apply([
      { do: 'flush chain', table, chain: 'a' },
      { do: 'delete chain', table, chain: 'a' },
    ]);
    expect(nftables.read(table)?.chains).toEqual([]);
    expect(nftables.tables('ip6')).toEqual([table]);
    nftables.delete(table);
  });

  test('a ruleset of 2,000 rules goes over in one transaction and comes back in order', () => {
    using nftables = Nftables.open();
    const rules = Array.from({ length: 2000 }, (_, at) => nft.rule([nft.mark('==', at), nft.accept]));
    const table: Table = { family: 'ip', name: 'large', chains: [chain('a', rules)] };
    nftables.replace(table);
    expect(differences(table, nftables.read(table))).toEqual([]);
    nftables.delete(table);
  });

  test('expressions without a typed form are kept and seen as different', () => {
    using nftables = Nftables.open();
    must([
      'nft',
      'add table ip odd; add chain ip odd a; add rule ip odd a tcp dport { 1, 2 } limit rate 1/second',
    ]);
    const live = nftables.read({ family: 'ip', name: 'odd' });
    const names = live?.chains[0]?.rules[0]?.expressions.map((each) =>
      each.kind === 'other' ? each.name : each.kind,
    );
    expect(names).toEqual(['meta', 'cmp', 'payload', 'lookup', 'limit']);
    nftables.delete({ family: 'ip', name: 'odd' });
  });

  test('notifications name the table that somebody touched', () => {
    using nftables = Nftables.open();
    const touched: string[] = [];
    using monitor = new NetlinkMonitor({
      protocol: NETLINK.NETFILTER,
      groups: [NFNLGRP_NFTABLES],
      onMessage: (message) => {
        const key = touchedTable(message);
        if (key !== undefined) touched.push(`${key.family} ${key.name}`);
      },
      onOverrun: () => touched.push('overrun'),
    });
    must(['nft', 'add table ip6 one; add chain ip6 one a; add rule ip6 one a accept; add table bridge two']);
    monitor.drain();
    expect(touched).toEqual(['ip6 one', 'ip6 one', 'ip6 one', 'bridge two']);
    touched.length = 0;
    nftables.delete({ family: 'ip6', name: 'one' });
    monitor.drain();
    expect(new Set(touched)).toEqual(new Set(['ip6 one']));
    must(['nft', 'delete table bridge two']);
  });
});
