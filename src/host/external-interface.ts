import { ConfigError } from '#base/errors.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import type { Address } from '#rtnetlink/address.ts';
import { IFA_F } from '#rtnetlink/constants.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Route } from '#rtnetlink/route.ts';

/** How the operator chose the interface: the flags of the same names. */
export interface InterfaceChoice {
  readonly families: readonly Family[];
  /** `--iface`: names or addresses, the first match counts. */
  readonly iface: readonly string[];
  /** `--iface-regex`: on the address first, then on the name. */
  readonly ifaceRegex: readonly string[];
  /** `--iface-can-reach`; empty when not given. */
  readonly canReach: string;
  /** Addresses that are to be published: without other wishes, the interface that has one of them. */
  readonly publicIps: readonly Ip[];
  /** After a while: an interface that has one family alone will do, and a link-local address. */
  readonly modest?: boolean;
}

/** What the choice is made from. */
export interface InterfaceView {
  readonly links: readonly Link[];
  readonly addresses: readonly Address[];
  /** Default routes of a family in the main table. */
  defaultRoutes(family: Family): readonly Route[];
  /** Index of the link that a packet to `ip` leaves by; undefined without a route. */
  linkTo(ip: Ip): number | undefined;
}

export interface ChosenInterface {
  readonly link: Link;
  readonly addresses: Readonly<Partial<Record<Family, Ip>>>;
  /** Families that it has no address of; none unless the choice is modest. */
  readonly missing: readonly Family[];
  /** Why this one, for the log. */
  readonly reason: string;
}

/** A choice that may come true later (no default route yet): a reason to wait, not to exit. */
export interface NotYet {
  readonly wait: string;
}

/** What the agent has built on; addresses of the enabled families. */
export interface InUse {
  readonly name: string;
  readonly mtu: number;
  readonly addresses: Readonly<Partial<Record<Family, Ip>>>;
  /** The enabled families; those without an address wait for one. */
  readonly families: readonly Family[];
}

/** Another interface than the one in use, in words. */
function moved(view: Pick<InterfaceView, 'links' | 'addresses'>, inUse: InUse): string | undefined {
  for (const ip of Object.values(inUse.addresses)) {
    const owner = view.addresses.find((address) => address.cidr.ip.equals(ip) && usable(address));
    const link = view.links.find(({ index }) => index === owner?.link);
    if (link !== undefined) return `address ${ip} of ${inUse.name} is now on ${link.name}`;
  }
  return undefined;
}

/** True when the interface is not there, or has no address of any family in use. */
export function isDead(view: Pick<InterfaceView, 'links' | 'addresses'>, inUse: InUse): boolean {
  const index = view.links.find(({ name }) => name === inUse.name)?.index;
  const families = new Set(Object.values(inUse.addresses).map(({ family }) => family));
  return !view.addresses.some((address) => address.link === index && families.has(address.cidr.family));
}

/**
 * What has changed of the interface in use, in words; undefined while it has its addresses and its MTU. More addresses, or a new
 * default route, are no reason to leave it. A missing interface is none either: it may come back as it was.
 */
export function externalChange(
  view: Pick<InterfaceView, 'links' | 'addresses'>,
  inUse: InUse,
): string | undefined {
  const link = view.links.find(({ name }) => name === inUse.name);
  if (link === undefined) return moved(view, inUse);
  if (link.mtu !== inUse.mtu) return `MTU of ${link.name} is now ${link.mtu}, was ${inUse.mtu}`;
  const own = view.addresses.filter((address) => address.link === link.index && usable(address));
  for (const ip of Object.values(inUse.addresses)) {
    const others = own.filter(({ cidr }) => cidr.family === ip.family && !cidr.ip.isLinkLocal());
    if (own.some(({ cidr }) => cidr.ip.equals(ip)) || others.length === 0) continue;
    return `address of ${link.name} is now ${others[0]?.cidr.ip}, was ${ip}`;
  }
  for (const family of inUse.families) {
    const used = inUse.addresses[family];
    if (used !== undefined && !used.isLinkLocal()) continue;
    const now = own.find(({ cidr }) => cidr.family === family && !cidr.ip.isLinkLocal());
    if (now !== undefined) return `${link.name} now has the ${family} address ${now.cidr.ip}`;
  }
  return undefined;
}

/** Chooses the interface that outer packets leave by. Throws ConfigError for flags that can never match. */
export function chooseInterface(view: InterfaceView, choice: InterfaceChoice): ChosenInterface | NotYet {
  const candidates: Candidate[] = [];
  for (const wanted of choice.iface) candidates.push(...byNameOrIp(view, wanted));
  for (const pattern of choice.ifaceRegex) candidates.push(...byRegex(view, pattern));
  if (choice.canReach !== '') candidates.push(...byReach(view, choice.canReach));
  const asked = choice.iface.length + choice.ifaceRegex.length > 0 || choice.canReach !== '';
  if (!asked) {
    for (const ip of choice.publicIps) candidates.push(...byPublicIp(view, ip));
    candidates.push(...byDefaultRoute(view, choice.families));
  }
  let problem: string | undefined;
  let second: ChosenInterface | undefined;
  for (const candidate of candidates) {
    const addresses: Partial<Record<Family, Ip>> = {};
    const missing: Family[] = [];
    for (const family of choice.families) {
      const ip = candidate.ip?.family === family ? candidate.ip : addressOf(view, candidate.link, family);
      if (ip === undefined) missing.push(family);
      else addresses[family] = ip;
    }
    const { link, reason } = candidate;
    const chosen = { link, addresses, missing, reason };
    const lasting = Object.values(addresses).every((ip) => !ip.isLinkLocal());
    if (missing.length === 0 && lasting) return chosen;
    if (second === undefined || missing.length < second.missing.length) second = chosen;
    problem ??=
      missing.length === 0
        ? `interface ${link.name} (${reason}) has only a link-local address`
        : `interface ${candidate.link.name} (${candidate.reason}) has no ${missing.join(' and no ')} address`;
  }
  const some = second !== undefined && second.missing.length < choice.families.length;
  if (choice.modest === true && second !== undefined && some) return second;
  if (problem !== undefined) return { wait: problem };
  if (!asked)
    return {
      wait: `there is no default route (${choice.families.join(', ')}); set one or name the interface with --iface`,
    };
  const flags = [
    ...choice.iface.map((v) => `--iface=${v}`),
    ...choice.ifaceRegex.map((v) => `--iface-regex=${v}`),
  ];
  if (choice.canReach !== '') flags.push(`--iface-can-reach=${choice.canReach}`);
  return {
    wait: `no interface matches ${flags.join(', ')}; there are ${view.links.map((link) => link.name).join(', ')}`,
  };
}

interface Candidate {
  readonly link: Link;
  readonly reason: string;
  /** The address that the flag named or matched. */
  readonly ip?: Ip;
}

function byNameOrIp(view: InterfaceView, wanted: string): Candidate[] {
  const ip = Ip.tryParse(wanted);
  if (ip === undefined) {
    return view.links
      .filter((link) => link.name === wanted)
      .map((link) => ({ link, reason: `--iface=${wanted}` }));
  }
  const owner = view.addresses.find((address) => address.cidr.ip.equals(ip));
  const link = view.links.find((candidate) => candidate.index === owner?.link);
  return link === undefined ? [] : [{ link, ip, reason: `--iface=${wanted}` }];
}

/** Behind NAT no interface has the published address: the default route then chooses. */
function byPublicIp(view: InterfaceView, ip: Ip): Candidate[] {
  const owner = view.addresses.find((address) => address.cidr.ip.equals(ip));
  const link = view.links.find((candidate) => candidate.index === owner?.link);
  return link === undefined ? [] : [{ link, ip, reason: `it has the public address ${ip}` }];
}

function byRegex(view: InterfaceView, pattern: string): Candidate[] {
  const regex = regexOf(pattern);
  const reason = `--iface-regex=${pattern}`;
  const found: Candidate[] = [];
  for (const address of view.addresses) {
    const link = view.links.find((candidate) => candidate.index === address.link);
    if (link === undefined || !usable(address)) continue;
    if (regex.test(address.cidr.ip.toString())) found.push({ link, ip: address.cidr.ip, reason });
  }
  for (const link of view.links) if (regex.test(link.name)) found.push({ link, reason });
  return found;
}

function regexOf(pattern: string): RegExp {
  try {
    return goRegex(pattern);
  } catch (error) {
    const what = `${JSON.stringify(pattern)} is not a regular expression`;
    throw new ConfigError('--iface-regex', what, { cause: error });
  }
}

/** What Go's regular expressions (RE2) spell otherwise: flags in front, the ends of the text, classes by name. */
function goRegex(pattern: string): RegExp {
  const [, flags = '', rest = ''] = /^(?:\(\?([ims]+)\))?([\s\S]*)$/.exec(pattern) ?? [];
  const text = rest
    .replaceAll(/\\([Az\\])/g, (all, letter: string) => ({ A: '^', z: '$' })[letter] ?? all)
    .replaceAll(/\[:([a-z]+):\]/g, (all, name: string) => CLASSES[name] ?? all);
  return new RegExp(text, flags);
}

const CLASSES: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  word: '\\w',
  xdigit: '0-9A-Fa-f',
};

function targetOf(text: string): Ip {
  const ip = Ip.tryParse(text);
  if (ip === undefined)
    throw new ConfigError('--iface-can-reach', `${JSON.stringify(text)} is not an IP address`);
  return ip;
}

/** Throws ConfigError for flags that can never match. */
export function checkChoice(choice: Pick<InterfaceChoice, 'ifaceRegex' | 'canReach'>): void {
  for (const pattern of choice.ifaceRegex) regexOf(pattern);
  if (choice.canReach !== '') targetOf(choice.canReach);
}

function byReach(view: InterfaceView, target: string): Candidate[] {
  const index = view.linkTo(targetOf(target));
  const link = view.links.find((candidate) => candidate.index === index);
  return link === undefined ? [] : [{ link, reason: `--iface-can-reach=${target}` }];
}

/** The default route of the lowest priority value, of the first enabled family that has one. */
function byDefaultRoute(view: InterfaceView, families: readonly Family[]): Candidate[] {
  const found: Candidate[] = [];
  for (const family of families) {
    const routes = [...view.defaultRoutes(family)].sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0));
    for (const route of routes) {
      const link = view.links.find((candidate) => candidate.index === outgoing(route));
      if (link !== undefined) found.push({ link, reason: `${family} default route` });
    }
  }
  return found;
}

/** The link of a route; of several next hops the first. */
function outgoing(route: Route): number | undefined {
  return route.link ?? route.multipath?.[0]?.link;
}

/** Temporary, deprecated, tentative and failed addresses do not last: they are never published. */
function usable(address: Address): boolean {
  // IFA_F_TEMPORARY is IFA_F_SECONDARY's bit (`linux/if_addr.h`): on IPv4 it only says that another came first.
  const temporary = address.cidr.family === 'ipv6' ? IFA_F.SECONDARY : 0;
  const bad = temporary | IFA_F.DEPRECATED | IFA_F.TENTATIVE | IFA_F.DADFAILED;
  return (address.flags & bad) === 0 && !address.cidr.ip.isLoopback();
}

/** The first usable address of a family, global before link-local. */
function addressOf(view: InterfaceView, link: Link, family: Family): Ip | undefined {
  const own = view.addresses
    .filter((address) => address.link === link.index && address.cidr.family === family && usable(address))
    .map((address) => address.cidr.ip);
  return own.find((ip) => !ip.isLinkLocal()) ?? own[0];
}

/** The published address: the operator's annotation, else the flag (as the original has it), else the interface's. */
export function publicAddress(
  flag: string,
  options: { name: string; family: Family; annotation: Ip | undefined; own: Ip | undefined },
): Ip | undefined {
  if (options.annotation !== undefined) return options.annotation;
  if (flag === '') return options.own;
  const ip = Ip.tryParse(flag);
  if (ip === undefined || ip.family !== options.family) {
    throw new ConfigError(options.name, `${JSON.stringify(flag)} is not an ${options.family} address`);
  }
  if (ip.isUnspecified() || ip.isMulticast())
    throw new ConfigError(options.name, `${ip} is no node's address`);
  return ip;
}
