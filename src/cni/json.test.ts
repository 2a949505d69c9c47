import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { FlannelError } from '#base/errors.ts';
import { parseBridge } from './bridge/config.ts';
import { CniError } from './error.ts';
import { delegateConfig, parseFlannel } from './flannel/config.ts';
import { parseHostLocal } from './host-local/config.ts';
import { boolField, field, intField, parseObject, sortedJson, stringField, type JsonObject } from './json.ts';
import { prevResultOf, readNetConf, validAttachments, type NetConf } from './plugin.ts';
import { parsePortmap } from './portmap/config.ts';
import { renderResult } from './result-render.ts';

test('keys are found as Go finds them: exactly, else without regard to case; null is nothing', () => {
  const object = { MTU: 1, mtu: 2, CniVersion: '1.0.0', hairpinMode: null };
  expect([field(object, 'mtu'), field(object, 'Mtu'), field(object, 'cniVersion')]).toEqual([2, 1, '1.0.0']);
  expect(boolField(object, 'hairpinMode', true)).toBe(true);
  expect(stringField(object, 'toString')).toBeUndefined();
  expect(field({ ['__proto__']: 1 }, 'x')).toBeUndefined();
});

test.each([[1.5], [-1], [65_536], ['7'], [true], [[]], [{}], [1e300]])(
  'not a number from 0 to 65535: %j',
  (value) => {
    expect(() => intField({ mtu: value }, 'mtu', { min: 0, max: 65_535 })).toThrow(
      /^mtu: .* is not a whole number/,
    );
  },
);

test('sorted, a value means what it meant', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const text = sortedJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(sortedJson(JSON.parse(text))).toBe(text);
    }),
    { numRuns: 300 },
  );
});

test('no text makes the reader of objects fail but with code 6', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map((json) => json.slice(0, -1)),
  );
  fc.assert(
    fc.property(text, (input) => {
      try {
        expect(typeof parseObject(input, 'it')).toBe('object');
      } catch (error) {
        expect(error).toBeInstanceOf(CniError);
        expect((error as CniError).cniCode).toBe(6);
      }
    }),
    { numRuns: 1000 },
  );
}, 60_000);

const ARGS = { containerId: 'c', netns: '', ifName: 'eth0', extra: new Map<string, string>(), path: [] };
const ENV = { networks: {}, gateways: {}, mtu: 1450, ipMasq: true };

/** Every reader of a configuration. */
const READERS: Readonly<Record<string, (conf: NetConf) => unknown>> = {
  bridge: (conf) => parseBridge(conf, ARGS),
  'host-local': (conf) => parseHostLocal(conf, ARGS),
  flannel: (conf) => sortedJson(delegateConfig(conf, parseFlannel(conf), ENV)),
  portmap: parsePortmap,
  prevResult: (conf) => {
    const result = prevResultOf(conf);
    return result === undefined ? '' : renderResult(result, conf.cniVersion);
  },
  attachments: validAttachments,
};

/** Values that are near what is wanted, and others. */
const nearly = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    '10.1.0.0/24',
    '10.1.0.9',
    '2001:db8::/64',
    '::/0',
    '1.1.1.1/33',
    '02:00:00:00:00:01',
    'tcp',
    '',
  ),
  fc.constantFrom(0, 1, -1, 80, 65_536, 2 ** 53, true, false, null),
);

function objectOf(keys: readonly string[], inner: fc.Arbitrary<unknown>): fc.Arbitrary<JsonObject> {
  return fc.dictionary(fc.constantFrom(...keys), inner, { maxKeys: keys.length });
}

const LEAVES = [
  'subnet',
  'rangeStart',
  'rangeEnd',
  'gateway',
  'dst',
  'gw',
  'mtu',
  'scope',
  'table',
  'address',
];
const MORE = [
  'hostPort',
  'containerPort',
  'protocol',
  'hostIP',
  'containerID',
  'ifname',
  'interface',
  'name',
  'mac',
];
const leaf = objectOf([...LEAVES, ...MORE], nearly);
const list = fc.oneof(
  fc.array(leaf, { maxLength: 3 }),
  fc.array(fc.array(leaf, { maxLength: 2 }), { maxLength: 2 }),
);
const section = objectOf(
  [
    'type',
    'subnet',
    'ranges',
    'routes',
    'ipRanges',
    'ips',
    'mac',
    'portMappings',
    'dataDir',
    'cni',
    'interfaces',
    'dns',
  ],
  fc.oneof(nearly, list, leaf),
);
const configuration = objectOf(
  [
    'ipam',
    'runtimeConfig',
    'args',
    'delegate',
    'prevResult',
    'dns',
    'mtu',
    'bridge',
    'vlan',
    'hairpinMode',
    'backend',
  ],
  fc.oneof({ weight: 4, arbitrary: section }, { weight: 1, arbitrary: nearly }),
);

for (const [name, read] of Object.entries(READERS)) {
  test(`whatever stands in a configuration, the reader of ${name} takes it or refuses it in words`, () => {
    fc.assert(
      fc.property(configuration, fc.oneof(list, nearly), (extra, attachments) => {
        const conf = readNetConf({
          ...extra,
          cniVersion: '1.1.0',
          name: 'n',
          'cni.dev/valid-attachments': attachments,
        });
        try {
          read(conf);
        } catch (error) {
          expect(error).toBeInstanceOf(FlannelError);
          expect((error as FlannelError).actor).toBe('operator');
        }
      }),
      { numRuns: 400, interruptAfterTimeLimit: 1_000 },
    );
  });
}
