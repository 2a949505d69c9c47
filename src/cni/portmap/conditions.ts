import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { daddr, iifname, mark, saddr, type Part } from '#nftables/build.ts';
import { invalidConfig, unsupported } from '../error.ts';
import { show } from '../json.ts';
import { isInterfaceName } from '../environment.ts';

/** Rules that conditions may become; beyond, somebody has mistaken them for an address list. */
const MOST = 64;

/**
 * nft's words as parts of rules: one list of parts per rule, since `{ a, b }` without `!=` means either. Understood are
 * `ip saddr`, `ip daddr`, `ip6 saddr`, `ip6 daddr`, `iifname` and `meta mark`, each with `==`, `!=` or nothing. Throws
 * CniError 2 for any other word: a condition that is not applied would open a port to those it should be closed to.
 */
export function nftConditions(list: readonly string[], family: Family): readonly (readonly Part[])[] {
  const words = new Words(list, family);
  let rules: (readonly Part[])[] = [[]];
  while (!words.atEnd()) {
    const match = matchOf(words, family);
    const not = words.take('!=');
    if (!not) words.take('==');
    const parts = words.values().map((value) => match(not ? '!=' : '==', value));
    // Not one of them: each must differ. One of them: a rule for each.
    rules = not
      ? rules.map((rule) => [...rule, ...parts])
      : rules.flatMap((rule) => parts.map((part) => [...rule, part]));
    if (rules.length > MOST) throw words.refuse(`they become more than ${MOST} rules`);
  }
  return rules;
}

type Match = (op: '==' | '!=', value: string) => Part;

function matchOf(words: Words, family: Family): Match {
  const first = words.next();
  if (first === (family === 'ipv4' ? 'ip' : 'ip6')) {
    const field = words.next();
    const build = { saddr, daddr }[field];
    if (build !== undefined) return (op, value) => build(op, prefix(words, value, family));
    throw words.refuse(`"${first} ${field}" is not among what is understood`);
  }
  const key = first === 'meta' ? words.next() : first;
  if (key === 'iifname') return (op, value) => iifname(op, interfaceName(words, value));
  if (key === 'mark') return (op, value) => mark(op, number(words, value));
  throw words.refuse(`${show(key)} is not among what is understood`);
}

function prefix(words: Words, text: string, family: Family): Cidr {
  const ip = Ip.tryParse(text);
  const cidr = ip === undefined ? Cidr.tryParse(text) : new Cidr(ip, ip.bits);
  if (cidr?.family === family) return cidr;
  throw words.refuse(`${show(text)} is not an ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address or network`);
}

function interfaceName(words: Words, text: string): string {
  const name = text.replaceAll(/^"|"$/g, '');
  if (isInterfaceName(name) && !name.includes('*')) return name;
  throw words.refuse(`${show(text)} is not the name of an interface`);
}

function number(words: Words, text: string): number {
  const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : -1;
  if (value >= 0 && value <= 0xffffffff) return value;
  throw words.refuse(`${show(text)} is not a mark`);
}

/** nft's words one after the other. */
class Words {
  readonly #words: readonly string[];
  readonly #key: string;
  readonly #list: readonly string[];
  #at = 0;

  constructor(list: readonly string[], family: Family) {
    this.#list = list;
    this.#key = family === 'ipv4' ? 'conditionsV4' : 'conditionsV6';
    this.#words = list
      .join(' ')
      .replaceAll(/[{},]/g, ' $& ')
      .split(/\s+/)
      .filter((word) => word !== '');
  }

  atEnd(): boolean {
    return this.#at >= this.#words.length;
  }

  next(): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw this.refuse('they end in the middle');
    this.#at += 1;
    return word;
  }

  take(word: string): boolean {
    if (this.#words[this.#at] !== word) return false;
    this.#at += 1;
    return true;
  }

  /** One value, or those of `{ a, b }`. */
  values(): readonly string[] {
    if (!this.take('{')) return [this.next()];
    const values = [this.next()];
    while (this.take(',')) values.push(this.next());
    if (!this.take('}')) throw this.refuse('a set is not closed');
    return values;
  }

  refuse(why: string) {
    return unsupported(this.#key, this.#list, `${why}; write ip saddr, ip daddr, iifname or meta mark`);
  }
}

/** Options of iptables that are no matches: commands, targets, tables, how it prints. */
const NO_MATCH = (
  'append check delete delete-chain exact flush goto help insert ipv4 ipv6 jump line-numbers list list-rules modprobe ' +
  'new new-chain numeric policy protocol rename-chain replace table verbose version wait wait-interval zero'
).split(' ');
/** Source, destination, interfaces, match module. */
const SHORT = new Set(['-s', '-d', '-i', '-o', '-m']);

/**
 * iptables' words, checked one by one: none of them may be an option that is not a match, in any spelling that getopt
 * takes. Throws CniError 7.
 */
export function iptablesConditions(list: readonly string[], family: Family): readonly string[] {
  const key = family === 'ipv4' ? 'conditionsV4' : 'conditionsV6';
  for (const word of list) {
    const why = wordFault(word);
    if (why !== undefined)
      throw invalidConfig(`${key}: ${show(word)} ${why}`, 'write matches of iptables, one word per string');
  }
  return list;
}

function wordFault(word: string): string | undefined {
  if (word === '') return 'is empty';
  if (word.length > 255 || /[\x00-\x1f\x7f]/.test(word)) return 'is no word';
  if (!word.startsWith('-')) return undefined;
  if (!word.startsWith('--')) return SHORT.has(word) ? undefined : 'is not -s, -d, -i, -o or -m';
  const name = word.slice(2).split('=', 1)[0] ?? '';
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) return 'is not an option';
  // getopt takes the beginning of a name for the name.
  return NO_MATCH.some((option) => option.startsWith(name)) ? 'is not a match' : undefined;
}

/** A word as iptables-restore reads it back. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_.,:/!=-]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}
