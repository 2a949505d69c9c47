import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { CniError } from './error.ts';
import { parseObject, type JsonObject } from './json.ts';
import { parseResult } from './result-parse.ts';
import { renderResult } from './result-render.ts';
import { renderVersions, SUPPORTED_VERSIONS } from './version.ts';

/** Recorded from the original: what ADD printed, by cniVersion. */
const RECORDED = ['0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

function recording(version: string): string {
  return readFileSync(
    `${import.meta.dir}/../../test/fixtures/cni/flannel-add-${version}.json`,
    'utf8',
  ).trimEnd();
}

function parsed(version: string) {
  return parseResult(parseObject(recording(version), 'recording'), version);
}

for (const version of RECORDED) {
  test(`a result of ${version} is written as the original writes it`, () => {
    expect(renderResult(parsed(version), version)).toBe(recording(version));
  });
}

test('a result keeps addresses, routes and gateways through every version', () => {
  const original = parsed('1.1.0');
  for (const version of SUPPORTED_VERSIONS) {
    const again = parseResult(parseObject(renderResult(original, version), version), version);
    expect(again.ips.map(({ address, gateway }) => `${address} ${gateway}`)).toEqual([
      '10.244.1.7/24 10.244.1.1',
      '2001:cafe:42:1::7/64 2001:cafe:42:1::1',
    ]);
    expect(again.routes.map(({ dst, gw }) => `${dst} ${gw}`).sort()).toEqual([
      '0.0.0.0/0 10.244.1.1',
      '10.244.0.0/16 undefined',
      '2001:cafe:42::/56 undefined',
      '::/0 2001:cafe:42:1::1',
    ]);
  }
});

test('what a version does not know is left out, and comes back in those that do', () => {
  const object = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', mtu: 1450, socketPath: '/s', pciID: '0:1' }],
    routes: [{ dst: '10.0.0.0/8', mtu: 1400, advmss: 1300, priority: 5, table: 7, scope: 253 }],
    dns: { nameservers: ['10.0.0.1'], domain: 'd', search: ['a'], options: ['o'] },
  };
  const result = parseResult(object, '1.1.0');
  expect(JSON.parse(renderResult(result, '1.1.0'))).toEqual(object);
  const old = JSON.parse(renderResult(result, '0.4.0')) as JsonObject;
  expect(old['interfaces']).toEqual([{ name: 'eth0' }]);
  // The original writes all of a route since 0.3.0: ptp and macvlan read it from host-local.
  expect(old['routes']).toEqual(object.routes);
  const oldest = { ...object, ips: [{ address: '10.0.0.2/8' }] };
  expect(JSON.parse(renderResult(parseResult(oldest, '1.1.0'), '0.2.0'))).toEqual({
    cniVersion: '0.2.0',
    ip4: { ip: '10.0.0.2/8', routes: [{ dst: '10.0.0.0/8' }] },
    dns: object.dns,
  });
  expect(old['dns']).toEqual(object.dns);
});

test('a result of any version is read and written in any other, and again, without loss of what both know', () => {
  for (const from of SUPPORTED_VERSIONS) {
    for (const to of SUPPORTED_VERSIONS) {
      const start = parseResult(parseObject(renderResult(parsed('1.1.0'), from), from), from);
      const there = renderResult(start, to);
      const back = parseResult(parseObject(there, to), '0.1.0');
      expect(renderResult(back, to)).toBe(there);
      const structured = ![from, to].some((version) => version < '0.3.0');
      expect([from, to, back.interfaces.length]).toEqual([from, to, structured ? 3 : 0]);
      // An index without its interfaces would be refused by the next reader.
      expect(back.ips.map((ip) => ip.interface)).toEqual(structured ? [2, 2] : [undefined, undefined]);
    }
  }
});

test('VERSION is answered as the original answers', () => {
  expect(renderVersions()).toBe(
    readFileSync(`${import.meta.dir}/../../test/fixtures/cni/version.json`, 'utf8'),
  );
});

test.each([
  [{ ips: [{ address: '10.0.0.1' }] }, /address: "10.0.0.1" is not an address with prefix length/],
  [{ ips: [{ address: '10.0.0.1/24', interface: 3 }] }, /interface 3 does not exist/],
  [{ ips: {} }, /ips: \{\} is not a list/],
  [{ routes: [{ dst: '10.0.0.0/8', gw: 'x' }] }, /gw: "x" is not an IP address/],
  [{ interfaces: ['eth0'] }, /interfaces: "eth0" is not an object/],
  [{ cniVersion: '7.0.0' }, /cniVersion "7.0.0" cannot be read/],
])('a damaged result names its fault: %j', (object, message) => {
  expect(() => parseResult(object, '1.0.0')).toThrow(message);
});

test('whatever JSON comes as a result, it is a result or an error with a code', () => {
  const shape = fc.record(
    {
      cniVersion: fc.oneof(fc.constantFrom(...SUPPORTED_VERSIONS), fc.string()),
      ips: fc.oneof(fc.jsonValue(), fc.array(fc.record({ address: fc.string(), gateway: fc.jsonValue() }))),
      routes: fc.jsonValue(),
      interfaces: fc.jsonValue(),
      dns: fc.jsonValue(),
      ip4: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(shape, (object) => {
      try {
        renderResult(parseResult(object, '1.0.0'), '1.0.0');
      } catch (error) {
        expect(error).toBeInstanceOf(CniError);
      }
    }),
    { numRuns: 2000 },
  );
});
