import { expect, test } from 'bun:test';
import { cureOf } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { checkBackend, createBackend } from './create.ts';
import { config, context, lease, planned, side, SIDE6 } from './fixtures.ts';

test('a backend that is not built in is named, with those that are', () => {
  for (const Type of ['wireguard', 'ipip', 'udp', 'ipsec', 'tencent-vpc']) {
    let thrown: unknown;
    try {
      checkBackend(config({ Type }));
    } catch (error) {
      thrown = error;
    }
    expect(String(thrown)).toContain(`Backend.Type: backend ${Type} is not built into this version`);
    expect(cureOf(thrown)).toBe('Set Backend.Type to one of vxlan, host-gw, alloc, extension');
    expect(() => createBackend(context({ Type }))).toThrow('not built into this version');
  }
});

test('what a backend does not know is a warning', () => {
  for (const Type of ['host-gw', 'alloc', 'extension']) {
    expect(checkBackend(config({ Type }))).toEqual([]);
    expect(checkBackend(config({ Type, VNI: 7 })).join()).toContain('Backend.VNI: unknown key');
  }
});

test('alloc: a lease, and nothing in the kernel', () => {
  const backend = createBackend(context({ Type: 'alloc' }, { families: ['ipv4', 'ipv6'] }));
  expect(backend).toMatchObject({
    type: 'alloc',
    mtu: 1500,
    links: [],
    backendData: { ipv4: 'null', ipv6: 'null' },
  });
  for (const type of ['alloc', 'vxlan', 'wireguard']) {
    const nothing = { entries: [], rejected: [], unreachable: [] };
    expect(planned(backend, lease({ ipv4: side(), ipv6: SIDE6 }, type))).toEqual(nothing);
  }
});

test('a peer of another backend is left out with the reason, cut to a length', () => {
  const { entries, rejected } = createBackend(context()).peer(lease({ ipv4: side() }, 'x'.repeat(99)));
  expect(entries).toEqual([]);
  expect(rejected).toEqual([
    { family: 'ipv4', kind: 'backend', reason: `it uses backend "${'x'.repeat(32)}", this node vxlan` },
  ]);
});

test('what goes to a peer whose backend may encrypt does not leave by the default route', () => {
  const both = { ipv4: side(), ipv6: SIDE6 };
  for (const Type of ['vxlan', 'host-gw']) {
    const backend = createBackend(context({ Type }));
    const unreachable = (type: string, families: object = both) =>
      planned(backend, lease(families, type)).unreachable;
    for (const type of ['wireguard', 'ipsec', 'extension'])
      expect(unreachable(type)).toEqual(['10.244.2.0/24']);
    for (const type of ['vxlan', 'host-gw', 'alloc', 'udp', 'ipip']) expect(unreachable(type)).toEqual([]);
    // Nobody can block this node's own pods or address.
    for (const subnet of ['10.244.1.0/24', '10.244.0.0/16', '192.168.50.0/24'])
      expect(unreachable('wireguard', { ipv4: side({ subnet: Cidr.parse(subnet) }) })).toEqual([]);
  }
});
