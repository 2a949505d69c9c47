import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import {
  back,
  daddr,
  dnat,
  dport,
  drop,
  etherSaddr,
  fibDaddrLocal,
  iifname,
  jump,
  mark,
  masquerade,
  rule,
  saddr,
} from './build.ts';
import { ruleText } from './text.ts';

// The text is what nft 1.0.6 prints for the same rules (test/netns/nftables.test.ts writes and lists them).
test.each([
  [rule([mark('==', 0x4000), back]), 'meta mark 0x00004000 return'],
  [rule([mark('==', 0x4000, 0x4000), back]), 'meta mark & 0x00004000 == 0x00004000 return'],
  [
    rule([
      saddr('==', Cidr.parse('10.244.1.0/24')),
      daddr('!=', Cidr.parse('224.0.0.0/4')),
      masquerade({ fullyRandom: true }),
    ]),
    'ip saddr 10.244.1.0/24 ip daddr != 224.0.0.0/4 masquerade fully-random',
  ],
  [
    rule([saddr('!=', Cidr.parse('2001:cafe:42::/56')), masquerade()]),
    'ip6 saddr != 2001:cafe:42::/56 masquerade',
  ],
  [
    rule(
      [daddr('==', Cidr.parse('127.0.0.1/32')), dport('udp', 8053), dnat(Ip.parse('10.244.1.9'), 53)],
      'c1',
    ),
    'ip daddr 127.0.0.1 udp dport 8053 dnat to 10.244.1.9:53 comment "c1"',
  ],
  [
    rule([dport('tcp', 80), dnat(Ip.parse('2001:cafe:42:1::9'), 80)]),
    'tcp dport 80 dnat to [2001:cafe:42:1::9]:80',
  ],
  [rule([fibDaddrLocal(), jump('hostports_all')]), 'fib daddr type local jump hostports_all'],
  [rule([iifname('==', 'cni0'), back]), 'iifname "cni0" return'],
  [rule([etherSaddr('==', Mac.parse('02:00:00:00:00:01')), drop]), 'ether saddr 02:00:00:00:00:01 drop'],
])('rule %#: %j', (given, text) => {
  expect(ruleText(given)).toBe(text);
});

test('an expression without a typed form is named', () => {
  const expressions = [{ kind: 'other', name: 'lookup', data: new Uint8Array(0) } as const];
  expect(ruleText({ expressions })).toBe('<lookup>');
});
