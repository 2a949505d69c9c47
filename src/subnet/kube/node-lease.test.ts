import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { type FakeNode, fakeNode } from '#clients/k8s/fake-api.ts';
import { JsonPruner } from '#clients/k8s/json-pruner.ts';
import { parseNetworkConfig } from '../config.ts';
import { annotationKeys } from './annotations.ts';
import { nodeSelection, parseNode } from './node.ts';
import { type NodeLease, nodeLease } from './node-lease.ts';

const P = 'flannel.alpha.coreos.com/';
const keys = annotationKeys();
const config = (text: string) => parseNetworkConfig(text, { source: 'net-conf.json' }).config;
const V4 = config('{"Network":"10.244.0.0/16"}');
const DUAL = config('{"Network":"10.244.0.0/16","EnableIPv6":true,"IPv6Network":"2001:cafe:42::/56"}');

/** Through the same selection as in life. */
function read(node: unknown, network = V4): NodeLease | undefined {
  let kept: unknown;
  const pruner = new JsonPruner({ selection: nodeSelection(keys), onValue: (value) => void (kept = value) });
  pruner.push(new TextEncoder().encode(JSON.stringify(node)));
  const view = parseNode(kept);
  return view === undefined ? undefined : nodeLease(view, { config: network, keys });
}

const problem = (node: FakeNode, network = V4) => {
  const found = read(node, network);
  expect(found?.lease).toBeUndefined();
  return found?.problems.join('; ') ?? 'no Node';
};

test('a VXLAN peer', () => {
  const found = read(fakeNode(2));
  expect(found?.problems).toEqual([]);
  expect(JSON.parse(JSON.stringify(found?.lease))).toEqual({
    name: 'n2',
    backendType: 'vxlan',
    families: {
      ipv4: {
        subnet: '10.244.2.0/24',
        publicIp: '192.168.50.12',
        backendData: '{"VNI":1,"VtepMAC":"12:00:00:00:00:02"}',
      },
    },
  });
});

test('both families; one without annotations is left out without a word', () => {
  const node = fakeNode(1, { [`${P}public-ipv6`]: 'fd50::11', [`${P}backend-v6-data`]: '{"VNI":1}' });
  node.spec = { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] };
  expect(String(read(node, DUAL)?.lease?.families.ipv6?.subnet)).toBe('2001:cafe:42:1::/64');
  const v4 = read(fakeNode(1), DUAL);
  expect([v4?.lease?.families.ipv6, v4?.problems]).toEqual([undefined, []]);
});

test('podCIDR alone, host bits, missing backend-data', () => {
  const node = fakeNode(1);
  node.spec = { podCIDR: '10.244.1.9/24' };
  delete node.metadata.annotations?.[`${P}backend-data`];
  const lease = read(node)?.lease?.families.ipv4;
  expect([String(lease?.subnet), lease?.backendData]).toEqual(['10.244.1.0/24', 'null']);
});

test('no peer: annotations null, missing, or not managed', () => {
  const nothing = { lease: undefined, problems: [], leftOut: undefined };
  expect(read({ metadata: { name: 'a', annotations: null } })).toEqual(nothing);
  expect(read({ metadata: { name: 'a' } })).toEqual(nothing);
  expect(read(fakeNode(1, { [`${P}kube-subnet-manager`]: 'True' }))).toEqual(nothing);
});

test.each([
  [{ [`${P}public-ip`]: '$(reboot)' }, 'public-ip "$(reboot)" is not a unicast ipv4 address'],
  [{ [`${P}public-ip`]: 'fd50::1' }, 'public-ip'],
  [{ [`${P}public-ip`]: '0.0.0.0' }, 'public-ip'],
  [{ [`${P}public-ip`]: '127.0.0.1' }, 'public-ip'],
  [{ [`${P}public-ip`]: '239.1.1.1' }, 'public-ip'],
  [{ [`${P}public-ip`]: '255.255.255.255' }, 'public-ip'],
  [{ [`${P}public-ip`]: '' }, 'public-ip'],
  [{ [`${P}backend-type`]: '../../x' }, 'backend-type'],
  [{ [`${P}backend-type`]: '' }, 'backend-type'],
  [{ [`${P}backend-data`]: 'x'.repeat(4097) }, 'has 4097 characters'],
])('hostile annotations %#', (annotations, words) => {
  expect(problem(fakeNode(1, annotations))).toContain(words);
  expect(read(fakeNode(1, annotations))?.leftOut).toBe('unreadable');
});

test.each([
  [['10.244.1.0/24', '10.244.2.0/24'], 'two ipv4 entries'],
  [['10.244.1.0/24', '2001:db8::/64', '10.1.0.0/16'], 'has 3 entries'],
  [['10.245.1.0/24'], '10.245.1.0/24 is not inside the network 10.244.0.0/16'],
  [['10.0.0.0/8'], 'not inside'],
  [['0.0.0.0/0'], 'not inside'],
  [['nonsense'], '"nonsense" is not a CIDR'],
  [[], 'no enabled family has both'],
])('hostile podCIDRs %j', (podCIDRs, words) => {
  const node = fakeNode(1);
  node.spec = { podCIDRs };
  expect(problem(node)).toContain(words);
  expect(read(node)?.leftOut).toBe(podCIDRs.length === 0 ? 'unreadable' : 'pod_cidr');
});

test('an unusable family does not take the other one with it', () => {
  const node = fakeNode(1, { [`${P}public-ipv6`]: '::1' });
  node.spec = { podCIDRs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] };
  const found = read(node, DUAL);
  expect(Object.keys(found?.lease?.families ?? {})).toEqual(['ipv4']);
  expect(found?.problems).toEqual([`${P}public-ipv6 "::1" is not a unicast ipv6 address`]);
});

test('whatever a Node holds: no exception, and a lease keeps its promises', () => {
  const junk = fc.oneof(
    fc.string(),
    fc.jsonValue(),
    fc.constantFrom(null, 'true', 'vxlan', '10.244.1.0/24', '192.0.2.1', '2001:cafe:42::/64'),
  );
  const names = [
    'kube-subnet-manager',
    'backend-type',
    'backend-data',
    'backend-v6-data',
    'public-ip',
    'public-ipv6',
  ];
  const annotations = fc.record(Object.fromEntries(names.map((name) => [`${P}${name}`, junk])), {
    requiredKeys: [],
  });
  const node = fc.record({
    metadata: fc.oneof(
      junk,
      fc.record({ name: fc.constantFrom('n1', 'a.b', '', '../x'), annotations: fc.oneof(junk, annotations) }),
    ),
    spec: fc.oneof(
      junk,
      fc.record({ podCIDR: junk, podCIDRs: fc.oneof(junk, fc.array(junk, { maxLength: 3 })) }),
    ),
  });
  fc.assert(
    fc.property(node, (value) => {
      const lease = read(value, DUAL)?.lease;
      if (lease === undefined) return;
      expect(lease.name).toMatch(/^[a-z0-9.-]+$/);
      for (const [family, { subnet, publicIp, backendData }] of Object.entries(lease.families)) {
        expect(DUAL.networks[family as 'ipv4' | 'ipv6']?.contains(subnet)).toBe(true);
        expect(subnet.isNetwork() && publicIp.family === family && backendData.length <= 4096).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
});
