import { FlannelError } from '#base/errors.ts';
import type { Entry, HostPlan, VxlanLink } from '#host/plan.ts';
import { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { Mac } from '#net/mac.ts';
import type { LeftOutReason } from '#subnet/lease.ts';
import type { AddressMatch, FamilyRules, RuleAction, RuleMatch, TrafficRule } from '#traffic/rules.ts';
import type { Overlay, OverlayHead, OverlayPeer } from './overlay.ts';
import { OVERLAY_SCHEMA } from './overlay-text.ts';
import { Reader } from './reader.ts';

const REASONS = [
  'backend',
  'unreadable',
  'pod_cidr',
  'own_subnet',
  'own_mac',
  'address',
  'off_link',
] as const satisfies readonly LeftOutReason[];
const ACTIONS = [
  'accept',
  'return',
  'masquerade',
  'masquerade fully-random',
] as const satisfies readonly RuleAction[];
const MODES = ['nftables', 'iptables'] as const;

/** Reads what `overlayText` wrote, all lines of it. Throws FlannelError for anything else, and for a text that breaks off. */
export function parseOverlay(text: string): Overlay {
  const lines = text.split('\n').filter((line) => line !== '');
  const [first, last] = [lines.shift(), lines.pop()];
  if (first === undefined || last === undefined) throw broken('it breaks off');
  const end = Reader.parse(last, 'the last line');
  if (end.optional('end')?.value !== true || end.field('peers').number() !== lines.length)
    throw broken('it breaks off');
  const head = readHead(Reader.parse(first, 'the first line'));
  return { ...head, peers: new Map(lines.map((line) => readPeer(Reader.parse(line, 'a peer')))) };
}

function broken(why: string): FlannelError {
  return new FlannelError('operator', `the agent's plan cannot be read: ${why}`, { cure: 'Ask again' });
}

function readHead(head: Reader): OverlayHead {
  if (head.field('schema').number() !== OVERLAY_SCHEMA) throw head.field('schema').fail('a form known here');
  const rules = head.optional('rules');
  return {
    node: head.field('node').text(),
    backend: head.field('backend').text(),
    devices: readDevices(head.field('devices')),
    rules:
      rules === undefined
        ? undefined
        : {
            mode: rules.field('mode').oneOf(MODES),
            set: { families: rules.field('set').field('families').list(readFamilyRules) },
          },
    refused: head.field('refused').list((key) => key.text()),
  };
}

function readDevices(devices: Reader): Omit<HostPlan, 'entries'> {
  const external = devices.optional('external')?.text();
  const keep = devices.optional('keepDevices')?.flag();
  return {
    links: devices.field('links').list(readLink),
    blackholes: devices.field('blackholes').list(cidr),
    ...(external === undefined ? {} : { external }),
    ...(keep === undefined ? {} : { keepDevices: keep }),
  };
}

function readLink(link: Reader): VxlanLink {
  const txChecksum = link.optional('txChecksum')?.flag();
  return {
    name: link.field('name').text(),
    vni: link.field('vni').number(),
    port: link.field('port').number(),
    local: ip(link.field('local')),
    parent: link.field('parent').text(),
    learning: link.field('learning').flag(),
    gbp: link.field('gbp').flag(),
    mtu: link.field('mtu').number(),
    mac: mac(link.field('mac')),
    ...(txChecksum === undefined ? {} : { txChecksum }),
    addresses: link.field('addresses').list(cidr),
  };
}

function readPeer(peer: Reader): [string, OverlayPeer] {
  const leftOut = peer.optional('leftOut');
  const entries = peer.field('entries').list(readEntry);
  const why =
    leftOut === undefined
      ? {}
      : { leftOut: { reason: leftOut.field('reason').oneOf(REASONS), why: leftOut.field('why').text() } };
  return [peer.field('name').text(), { entries, ...why }];
}

function readEntry(entry: Reader): Entry {
  const type = entry.field('type').oneOf(['neighbour', 'fdb', 'route']);
  const link = entry.field('link').text();
  switch (type) {
    case 'neighbour':
      return { type, link, ip: ip(entry.field('ip')), mac: mac(entry.field('mac')) };
    case 'fdb':
      return { type, link, mac: mac(entry.field('mac')), dst: ip(entry.field('dst')) };
    case 'route': {
      const gateway = ip(entry.field('gateway'));
      return { type, link, dst: cidr(entry.field('dst')), gateway, onlink: entry.field('onlink').flag() };
    }
  }
}

function readFamilyRules(rules: Reader): FamilyRules {
  const postrouting = rules.optional('postrouting')?.list(readRule);
  const forward = rules.optional('forward')?.list(readRule);
  return {
    family: rules.field('family').oneOf<Family>(FAMILIES),
    ...(postrouting === undefined ? {} : { postrouting }),
    ...(forward === undefined ? {} : { forward }),
  };
}

function readRule(rule: Reader): TrafficRule {
  const only = rule.optional('only')?.oneOf(MODES);
  return {
    match: readMatch(rule.field('match')),
    action: rule.field('action').oneOf(ACTIONS),
    ...(only === undefined ? {} : { only }),
  };
}

function readMatch(match: Reader): RuleMatch {
  const mark = match.optional('mark');
  const mask = mark?.optional('mask')?.number();
  const source = match.optional('source');
  const destination = match.optional('destination');
  const udpPort = match.optional('udpPort')?.number();
  return {
    ...(mark === undefined
      ? {}
      : { mark: { value: mark.field('value').number(), ...(mask === undefined ? {} : { mask }) } }),
    ...(source === undefined ? {} : { source: readAddress(source) }),
    ...(destination === undefined ? {} : { destination: readAddress(destination) }),
    ...(udpPort === undefined ? {} : { udpPort }),
  };
}

function readAddress(address: Reader): AddressMatch {
  return { cidr: cidr(address.field('cidr')), not: address.field('not').flag() };
}

const ip = (reader: Reader): Ip => reader.parsed((text) => Ip.tryParse(text), 'an IP address');
const cidr = (reader: Reader): Cidr => reader.parsed((text) => Cidr.tryParse(text), 'a CIDR');
const mac = (reader: Reader): Mac => reader.parsed((text) => Mac.tryParse(text), 'a MAC address');
