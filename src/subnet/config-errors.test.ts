import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { parseNetworkConfig } from './config.ts';

const SOUND = {
  Network: '10.244.0.0/16',
  IPv6Network: '2001:db8:42::/56',
  EnableIPv4: true,
  EnableIPv6: true,
  Backend: { Type: 'vxlan' },
};

function refused(change: object): string {
  try {
    parseNetworkConfig(JSON.stringify({ ...SOUND, ...change }), { source: 'net-conf.json', manager: 'etcd' });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'accepted';
}

/** Key, values that it does not take, and what the message must say is allowed. */
const KEYS: readonly (readonly [string, readonly unknown[], RegExp])[] = [
  [
    'Network',
    [null, 7, '', 'x', '10.244.0.0', '10.244.0.0/33', '2001:db8::/56', {}],
    /IPv4 network such as|must be a string/,
  ],
  [
    'IPv6Network',
    [null, 7, '', 'x', '10.244.0.0/16', '2001:db8::/129', []],
    /IPv6 network such as|must be a string/,
  ],
  ['EnableIPv4', [1, 'yes', {}, []], /true or false/],
  ['EnableIPv6', [1, 'yes', {}, []], /true or false/],
  ['EnableNFTables', [1, 'yes', {}, []], /true or false/],
  ['SubnetLen', ['24', -1, 31, 8, 1.5, {}], /\d/],
  ['SubnetMin', [7, 'x', '10.245.0.0', '10.244.0.1', {}], /\w/],
  ['SubnetMax', [7, 'x', '10.243.0.0', '10.244.0.1', {}], /\w/],
  ['IPv6SubnetLen', ['64', -1, 127, 48, 1.5, {}], /\d/],
  ['IPv6SubnetMin', [7, 'x', '2001:db8:43::', '10.244.1.0', {}], /\w/],
  ['IPv6SubnetMax', [7, 'x', '2001:db8:41::', '10.244.1.0', {}], /\w/],
  ['Backend', [1, 'vxlan', []], /object such as/],
];

for (const [key, values, allowed] of KEYS) {
  test(`${key}: what it does not take is named with file, key, value and what is allowed`, () => {
    for (const value of values) {
      for (const spelling of [key, key.toLowerCase(), key.toUpperCase()]) {
        const change = spelling === key ? { [key]: value } : { [key]: undefined, [spelling]: value };
        const message = refused(change);
        const shown = typeof value === 'object' ? '' : JSON.stringify(value).replaceAll('"', '');
        expect({ value, message }).toEqual({
          value,
          message: expect.stringMatching(new RegExp(`^net-conf\\.json: ${key}: .*`)),
        });
        expect(message).toContain(shown);
        expect(message).toMatch(allowed);
      }
    }
  });
}

test('Backend.Type: what is none is named with all that there are, and the nearest', () => {
  expect(refused({ Backend: { Type: 'vxlam' } })).toMatch(
    /^net-conf\.json: Backend\.Type: .*vxlam.*one of vxlan, host-gw.*did you mean vxlan/,
  );
  expect(refused({ Backend: { Type: 7 } })).toMatch(/^net-conf\.json: Backend\.Type: .*7/);
});

test('texts that are no configuration', () => {
  for (const text of ['', '{', 'null', '[]', '7', '"x"', '{"Network":}'])
    expect(() => parseNetworkConfig(text, { source: 'net-conf.json' })).toThrow(/^net-conf\.json: /);
});
