import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { AddressMatch, RuleAction, RuleMatch, TrafficMode, TrafficRule } from './rules.ts';

/**
 * One of our rules as `nft list` or (behind `-A <chain> `) `iptables-save` prints it; undefined for words that ours do not
 * have: somebody else has written it.
 */
export function parseRuleLine(mode: TrafficMode, line: string): TrafficRule | undefined {
  const grammar = mode === 'iptables' ? IPTABLES : NFTABLES;
  let rest = line.trim();
  let match: RuleMatch = {};
  while (rest !== '') {
    const action = grammar.actions.find(([pattern]) => pattern.test(rest));
    if (action !== undefined) return { match, action: action[1] };
    const found = grammar.words
      .map(([pattern, read]) => ({ read, words: pattern.exec(rest) }))
      .find(({ words }) => words);
    if (found?.words === undefined || found.words === null) return undefined;
    const more = found.read(found.words);
    if (more === undefined) return undefined;
    match = { ...match, ...more };
    rest = rest.slice(found.words[0].length).trimStart();
  }
  return undefined;
}

type Read = (words: RegExpExecArray) => RuleMatch | undefined;

interface Grammar {
  readonly words: readonly (readonly [RegExp, Read])[];
  /** At the end of a line. */
  readonly actions: readonly (readonly [RegExp, RuleAction])[];
}

const NFTABLES: Grammar = {
  words: [
    [/^ip6? saddr (!= )?(\S+)/, (words) => addressed('source', words)],
    [/^ip6? daddr (!= )?(\S+)/, (words) => addressed('destination', words)],
    [/^meta mark (0x[0-9a-f]+)(?= )/, ([, value]) => ({ mark: { value: Number(value) } })],
    [/^udp dport (\d+)/, ([, port]) => ({ udpPort: Number(port) })],
    [/^counter packets \d+ bytes \d+/, () => ({})],
    [/^comment "[^"]*"/, () => ({})],
  ],
  actions: [
    [/^accept( comment "[^"]*")?$/, 'accept'],
    [/^return( comment "[^"]*")?$/, 'return'],
    [/^masquerade( comment "[^"]*")?$/, 'masquerade'],
    [/^masquerade fully-random( comment "[^"]*")?$/, 'masquerade fully-random'],
  ],
};

const IPTABLES: Grammar = {
  words: [
    [/^(! )?-s (\S+)/, (words) => addressed('source', words)],
    [/^(! )?-d (\S+)/, (words) => addressed('destination', words)],
    [/^-p udp -m udp --dport (\d+)/, ([, port]) => ({ udpPort: Number(port) })],
    [
      /^-m mark --mark (0x[0-9a-f]+)(?:\/(0x[0-9a-f]+))?/,
      ([, value, mask]) => ({
        mark: { value: Number(value), ...(mask === undefined ? {} : { mask: Number(mask) }) },
      }),
    ],
    [/^-m comment --comment (?:"[^"]*"|\S+)/, () => ({})],
  ],
  actions: [
    [/^-j ACCEPT$/, 'accept'],
    [/^-j RETURN$/, 'return'],
    [/^-j MASQUERADE$/, 'masquerade'],
    [/^-j MASQUERADE --random-fully$/, 'masquerade fully-random'],
  ],
};

function addressed(
  end: 'source' | 'destination',
  [, not, text = '']: RegExpExecArray,
): RuleMatch | undefined {
  const ip = Ip.tryParse(text);
  const cidr = ip === undefined ? Cidr.tryParse(text) : new Cidr(ip, ip.bits);
  if (cidr === undefined) return undefined;
  const address: AddressMatch = { cidr, not: not !== undefined };
  return end === 'source' ? { source: address } : { destination: address };
}
