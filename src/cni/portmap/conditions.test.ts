import { describe, expect, test } from 'bun:test';
import { rule } from '#nftables/build.ts';
import { ruleText } from '#nftables/text.ts';
import { iptablesConditions, nftConditions, quoted } from './conditions.ts';

describe('in the words of nft', () => {
  test.each([
    [[], ['']],
    [['ip', 'daddr', '!=', '192.0.2.0/24'], ['ip daddr != 192.0.2.0/24']],
    [['ip daddr != { 127.0.0.0/8, 198.19.254.254 }'], ['ip daddr != 127.0.0.0/8 ip daddr != 198.19.254.254']],
    [['ip saddr {10.0.0.1,10.0.0.2}'], ['ip saddr 10.0.0.1', 'ip saddr 10.0.0.2']],
    [['iifname', '!=', '"eth0"', 'meta', 'mark', '0x10'], ['iifname != "eth0" meta mark 0x00000010']],
    [['ip', 'saddr', '==', '10.0.0.1'], ['ip saddr 10.0.0.1']],
  ])('%j', (list, texts) => {
    expect(nftConditions(list, 'ipv4').map((parts) => ruleText(rule(parts)))).toEqual(texts);
  });

  test.each([
    [['ip6', 'saddr', 'fd00::1']],
    [['ip', 'saddr', 'fd00::1']],
    [['ip', 'saddr']],
    [['ip', 'protocol', 'tcp']],
    [['ip', 'saddr', '{', '10.0.0.1']],
    [['accept']],
    [['ip saddr 10.0.0.1 ; flush ruleset']],
    [['iifname', 'eth*']],
    [['meta', 'mark', '-1']],
    [[`ip saddr { ${Array.from({ length: 70 }, (_, at) => `10.0.0.${at}`).join(', ')} }`]],
  ])('%j is refused by its key', (list) => {
    expect(() => nftConditions(list, 'ipv4')).toThrow('unsupported value of conditionsV4');
  });
});

describe('in the words of iptables', () => {
  test.each([
    [['!', '-d', '192.0.2.0/24']],
    [['-s', '10.0.0.0/8', '-i', 'eth0']],
    [['-m', 'comment', '--comment', 'a "quoted" \\ word']],
    [['-m', 'conntrack', '--ctstate', 'NEW']],
    [['-m', 'set', '--match-set', 'x', 'src']],
  ])('%j', (list) => {
    expect(iptablesConditions(list, 'ipv4')).toEqual(list);
  });

  test.each([
    ['-j'],
    ['-jACCEPT'],
    ['--jump'],
    ['--ju'],
    ['--jump=ACCEPT'],
    ['-t'],
    ['--table=filter'],
    ['-A'],
    ['-vD'],
    ['--flush'],
    ['-p'],
    ['--'],
    [''],
    ['x\n-A INPUT -j ACCEPT'],
    ['x\0'],
    ['x'.repeat(256)],
  ])('%j is refused by its key', (word) => {
    expect(() => iptablesConditions(['-s', word], 'ipv6')).toThrow('conditionsV6');
  });

  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['!', '!'],
    ['a b', '"a b"'],
    ['a"b\\', '"a\\"b\\\\"'],
    ["it's", '"it\'s"'],
  ])('%j for iptables-restore', (word, text) => {
    expect(quoted(word)).toBe(text);
  });
});
