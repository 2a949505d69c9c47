import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { IFA_F } from '#rtnetlink/constants.ts';
import type { Address } from '#rtnetlink/address.ts';
import type { Link } from '#rtnetlink/link.ts';
import type { Route } from '#rtnetlink/route.ts';
import {
  checkChoice,
  chooseInterface,
  publicAddress,
  type InterfaceChoice,
  type InterfaceView,
} from './external-interface.ts';

const links = ['lo', 'eth0', 'eth1', 'wlan0'].map((name, at) => ({ index: at + 1, name }) as Link);
const at = (link: number, cidr: string, flags = 0): Address => ({
  link,
  cidr: Cidr.parse(cidr),
  scope: 0,
  flags,
});
const via = (family: Family, link: number | undefined, priority?: number): Route =>
  ({ family, link, priority, dst: undefined }) as Route;

const ADDRESSES = [
  at(1, '127.0.0.1/8'),
  at(1, '::1/128'),
  at(2, '192.168.50.11/24'),
  at(2, '192.168.50.12/24', IFA_F.SECONDARY),
  at(2, 'fe80::1/64'),
  at(2, 'fd50::11/64'),
  at(3, '10.0.0.5/8'),
];

function view(
  change: Partial<InterfaceView> = {},
  routes: readonly Route[] = [via('ipv4', 2)],
): InterfaceView {
  return {
    links,
    addresses: ADDRESSES,
    defaultRoutes: (family) => routes.filter((route) => route.family === family),
    linkTo: (ip) => (ip.toString() === '10.1.1.1' ? 3 : undefined),
    ...change,
  };
}

const BY_DEFAULT: InterfaceChoice = {
  families: ['ipv4'],
  iface: [],
  ifaceRegex: [],
  canReach: '',
  publicIps: [],
};
const DUAL: InterfaceChoice = { ...BY_DEFAULT, families: ['ipv4', 'ipv6'] };

/** `<name> <addresses> (<reason>)`, or what is waited for. */
function chosen(choice: Partial<InterfaceChoice>, from: InterfaceView = view()): string {
  const result = chooseInterface(from, { ...BY_DEFAULT, ...choice });
  if ('wait' in result) return result.wait;
  return `${result.link.name} ${Object.values(result.addresses).join(' ')} (${result.reason})`;
}

test('the interface of the default route', () => {
  expect(chosen({})).toBe('eth0 192.168.50.11 (ipv4 default route)');
});

test('the interface that has the published address, unless another is asked for or none has it', () => {
  const publicIps = [Ip.parse('10.0.0.5')];
  expect(chosen({ publicIps })).toBe('eth1 10.0.0.5 (it has the public address 10.0.0.5)');
  expect(chosen({ publicIps, iface: ['eth0'] })).toStartWith('eth0 ');
  expect(chosen({ publicIps: [Ip.parse('203.0.113.9')] })).toStartWith('eth0 ');
});

test('of several default routes the one that the kernel prefers', () => {
  const routes = [via('ipv4', 2, 100), via('ipv4', 3, 50)];
  expect(chosen({}, view({}, routes))).toBe('eth1 10.0.0.5 (ipv4 default route)');
  expect(chosen({}, view({}, [...routes, via('ipv4', 2)]))).toStartWith('eth0 ');
});

test('a default route with several next hops: the first', () => {
  const hop = { link: 3, gateway: undefined, weight: 1, flags: 0, onlink: false };
  const route = { ...via('ipv4', undefined), multipath: [hop, { ...hop, link: 2 }] };
  expect(chosen({}, view({}, [route]))).toBe('eth1 10.0.0.5 (ipv4 default route)');
});

test('no default route yet is a reason to wait', () => {
  expect(chosen({}, view({}, []))).toBe(
    'there is no default route (ipv4); set one or name the interface with --iface',
  );
});

test('an interface without an address is passed over, and named when there is no other', () => {
  const routes = [via('ipv4', 4, 1), via('ipv4', 2, 2)];
  expect(chosen({}, view({}, routes))).toStartWith('eth0 ');
  expect(chosen({}, view({}, [via('ipv4', 4)]))).toBe(
    'interface wlan0 (ipv4 default route) has no ipv4 address',
  );
});

test('dual stack needs an address in both families; a global one wins over a link-local one', () => {
  expect(chosen(DUAL)).toBe('eth0 192.168.50.11 fd50::11 (ipv4 default route)');
  expect(chosen(DUAL, view({}, [via('ipv4', 3)]))).toBe(
    'interface eth1 (ipv4 default route) has no ipv6 address',
  );
  expect(chosen({ families: ['ipv6'] }, view({}, [via('ipv6', 2)]))).toBe(
    'eth0 fd50::11 (ipv6 default route)',
  );
});

test('after a while one family is enough, and a link-local address: better than none', () => {
  const one = view({}, [via('ipv4', 3)]);
  expect(chosen({ ...DUAL, modest: true }, one)).toBe('eth1 10.0.0.5 (ipv4 default route)');
  expect(chooseInterface(one, { ...DUAL, modest: true })).toMatchObject({ missing: ['ipv6'] });
  // Two candidates: the one that has both.
  const both = view({}, [via('ipv4', 3, 1), via('ipv4', 2, 2)]);
  expect(chosen({ ...DUAL, modest: true }, both)).toStartWith('eth0 ');
  const local = view({ addresses: [at(2, '192.168.50.11/24'), at(2, 'fe80::1/64')] });
  expect(chosen(DUAL, local)).toBe('interface eth0 (ipv4 default route) has only a link-local address');
  expect(chosen({ ...DUAL, modest: true }, local)).toBe('eth0 192.168.50.11 fe80::1 (ipv4 default route)');
  const none = view({ addresses: [] });
  expect(chosen({ ...DUAL, modest: true }, none)).toEndWith('has no ipv4 and no ipv6 address');
});

for (const [name, flags] of [
  ['temporary', IFA_F.SECONDARY],
  ['deprecated', IFA_F.DEPRECATED],
  ['tentative', IFA_F.TENTATIVE],
  ['duplicate', IFA_F.DADFAILED],
] as const) {
  test(`a ${name} IPv6 address is not taken`, () => {
    const addresses = [at(2, 'fd50::dead/64', flags), at(2, 'fd50::11/64')];
    const choice = { families: ['ipv6'] as const };
    expect(chosen(choice, view({ addresses }, [via('ipv6', 2)]))).toBe('eth0 fd50::11 (ipv6 default route)');
    expect(chosen(choice, view({ addresses: addresses.slice(0, 1) }, [via('ipv6', 2)]))).toEndWith(
      'has no ipv6 address',
    );
  });
}

test('in IPv4 a secondary address is as good as any', () => {
  const addresses = [at(2, '192.168.50.12/24', IFA_F.SECONDARY)];
  expect(chosen({}, view({ addresses }))).toBe('eth0 192.168.50.12 (ipv4 default route)');
});

test('--iface by name and by address; the first match counts', () => {
  expect(chosen({ iface: ['eth1'] })).toBe('eth1 10.0.0.5 (--iface=eth1)');
  expect(chosen({ iface: ['192.168.50.12'] })).toBe('eth0 192.168.50.12 (--iface=192.168.50.12)');
  expect(chosen({ iface: ['eth7', 'eth1', 'eth0'] })).toStartWith('eth1 ');
  expect(chosen({ ...DUAL, iface: ['fd50::11'] })).toBe('eth0 192.168.50.11 fd50::11 (--iface=fd50::11)');
});

test('--iface-regex looks at addresses first, then at names', () => {
  expect(chosen({ ifaceRegex: ['^10\\.'] })).toBe('eth1 10.0.0.5 (--iface-regex=^10\\.)');
  expect(chosen({ ifaceRegex: ['^eth1$'] })).toBe('eth1 10.0.0.5 (--iface-regex=^eth1$)');
  expect(chosen({ ifaceRegex: ['\\.12$'] })).toStartWith('eth0 192.168.50.12 ');
  expect(chosen({ iface: ['eth9'], ifaceRegex: ['1$'] })).toStartWith('eth0 192.168.50.11 ');
});

test('--iface-can-reach asks the routing table', () => {
  expect(chosen({ canReach: '10.1.1.1' })).toBe('eth1 10.0.0.5 (--iface-can-reach=10.1.1.1)');
});

test('flags that match nothing: waited for, with what there is', () => {
  expect(chosen({ iface: ['eth9'], ifaceRegex: ['^x'], canReach: '8.8.8.8' })).toBe(
    'no interface matches --iface=eth9, --iface-regex=^x, --iface-can-reach=8.8.8.8; there are lo, eth0, eth1, wlan0',
  );
});

test('flags that can never match are errors', () => {
  expect(() => chosen({ ifaceRegex: ['('] })).toThrow('--iface-regex: "(" is not a regular expression');
  expect(() => chosen({ canReach: 'router' })).toThrow('--iface-can-reach: "router" is not an IP address');
  expect(() => checkChoice({ ifaceRegex: ['('], canReach: '' })).toThrow(ConfigError);
  expect(() => checkChoice({ ifaceRegex: [], canReach: '10.0.0.300' })).toThrow(ConfigError);
  checkChoice({ ifaceRegex: ['^eth'], canReach: '10.0.0.3' });
});

test('the published address: annotation, else flag, else own', () => {
  const options = {
    name: '--public-ip',
    family: 'ipv4',
    annotation: Ip.parse('203.0.113.2'),
    own: Ip.parse('192.168.50.11'),
  } as const;
  expect(String(publicAddress('203.0.113.1', options))).toBe('203.0.113.2');
  expect(String(publicAddress('203.0.113.1', { ...options, annotation: undefined }))).toBe('203.0.113.1');
  expect(String(publicAddress('', options))).toBe('203.0.113.2');
  expect(String(publicAddress('', { ...options, annotation: undefined }))).toBe('192.168.50.11');
  for (const bad of ['x', 'fd50::1', '0.0.0.0', '224.0.0.1', '192.168.50.11/24']) {
    expect(() => publicAddress(bad, { ...options, annotation: undefined })).toThrow(ConfigError);
  }
});

test('--iface-regex as Go has it', () => {
  for (const ifaceRegex of [
    '(?i)ETH1',
    '\\Aeth1\\z',
    '^eth[[:digit:]]$',
    '^[[:alpha:]]+1$',
    '10\\.0\\.0\\.',
  ]) {
    expect([ifaceRegex, chosen({ ifaceRegex: ['eth1', ifaceRegex].slice(1) })]).toEqual([
      ifaceRegex,
      expect.stringMatching(ifaceRegex.includes('digit') ? /^eth0 / : /^eth1 /),
    ]);
  }
  expect(() => checkChoice({ ifaceRegex: ['(?P<n>x'], canReach: '' })).toThrow('is not a regular expression');
});
