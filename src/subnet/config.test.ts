import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { readBackendOptions } from './backend-options.ts';
import { parseNetworkConfig } from './config.ts';

const parse = (value: unknown, manager?: 'kube' | 'etcd') =>
  parseNetworkConfig(typeof value === 'string' ? value : JSON.stringify(value), {
    source: 'net-conf.json',
    ...(manager !== undefined && { manager }),
  });

const V4 = { Network: '10.244.0.0/16' };

test('the usual file', () => {
  const { config, warnings } = parse({ ...V4, Backend: { Type: 'vxlan' } });
  expect(warnings).toEqual([]);
  expect(config.families).toEqual(['ipv4']);
  expect(String(config.networks.ipv4)).toBe('10.244.0.0/16');
  expect(config.enableNftables).toBe(false);
  expect(config.backend).toMatchObject({ type: 'vxlan', options: {} });
  expect(Object.isFrozen(config) && Object.isFrozen(config.backend.options)).toBe(true);
});

test('both families', () => {
  const { config } = parse({
    ...V4,
    EnableIPv6: true,
    IPv6Network: '2001:cafe:42::/56',
    EnableNFTables: true,
  });
  expect(config.families).toEqual(['ipv4', 'ipv6']);
  expect(String(config.networks.ipv6)).toBe('2001:cafe:42::/56');
  expect(config.enableNftables).toBe(true);
});

test('keys in any case, and vxlan without a Backend', () => {
  const { config, warnings } = parse({
    NETWORK: '10.0.0.0/8',
    enableipv4: true,
    backend: { TYPE: 'vxlan', vni: 7, Directrouting: true },
  });
  expect(config.backend.options).toEqual({ vni: 7, directrouting: true });
  expect(warnings).toEqual([]);
  expect(parse(V4).config.backend.type).toBe('vxlan');
  expect(parse({ ...V4, Backend: null }).config.backend.type).toBe('vxlan');
});

test('unknown keys are warned about with the nearest known one', () => {
  expect(parse({ ...V4, Netwrok: 'x', Zebra: 1 }).warnings).toEqual([
    'net-conf.json: Netwrok: unknown key, ignored; did you mean Network?',
    expect.stringContaining('net-conf.json: Zebra: unknown key, ignored; known keys are Network, '),
  ]);
});

test('a key that stands twice', () => {
  const { config, warnings } = parse('{"Network":"10.0.0.0/8","network":"10.1.0.0/16"}');
  expect(String(config.networks.ipv4)).toBe('10.1.0.0/16');
  expect(warnings[0]).toContain('the last one counts');
});

test.each([
  ['{', 'net-conf.json: not valid JSON'],
  ['[]', 'must be a JSON object'],
  [{}, 'net-conf.json: Network: is missing; it must be an IPv4 network'],
  [{ Network: '10.244.0.0' }, 'Network: "10.244.0.0" is not allowed'],
  [{ Network: '2001:db8::/64' }, 'Network: "2001:db8::/64" is not allowed'],
  [{ Network: 7 }, 'Network: 7 is not allowed; it must be a string'],
  [{ ...V4, EnableIPv6: true }, 'IPv6Network: is missing'],
  [{ EnableIPv4: false }, 'both EnableIPv4 and EnableIPv6 are false'],
  [{ ...V4, EnableIPv6: 'true' }, 'EnableIPv6: "true" is not allowed; it must be true or false'],
  [{ ...V4, Backend: 'vxlan' }, 'Backend: "vxlan" is not allowed'],
  [{ ...V4, Backend: { Type: 'vxlam' } }, 'did you mean vxlan?'],
  [{ ...V4, Backend: { Type: 1 } }, 'Backend.Type: 1 is not allowed'],
])('refuses %j', (value, words) => {
  expect(() => parse(value)).toThrow(ConfigError);
  expect(() => parse(value)).toThrow(words);
});

test('host bits in Network are masked with a warning', () => {
  const { config, warnings } = parse({ Network: '10.244.1.7/16' });
  expect(String(config.networks.ipv4)).toBe('10.244.0.0/16');
  expect(warnings[0]).toContain('10.244.0.0/16 is used');
});

test.each([
  ['10.244.0.0/16', {}, '24 10.244.1.0 10.244.255.0'],
  ['10.244.0.0/22', {}, '24 10.244.1.0 10.244.3.0'],
  ['10.244.0.0/23', {}, '25 10.244.0.128 10.244.1.128'],
  ['10.244.0.0/28', {}, '30 10.244.0.4 10.244.0.12'],
  ['10.0.0.0/8', { SubnetLen: 20, SubnetMin: '10.10.0.0', SubnetMax: '10.99.0.0' }, '20 10.10.0.0 10.99.0.0'],
])('subnets of %s with %j', (Network, more, wanted) => {
  const layout = parse({ Network, ...more }, 'etcd').config.layouts.ipv4;
  expect(`${layout?.length} ${layout?.min} ${layout?.max}`).toBe(wanted);
});

test.each([
  ['2001:db8::/48', {}, '64 2001:db8:0:1:: 2001:db8:0:ffff::'],
  ['2001:db8::/63', {}, '65 2001:db8:0:0:8000:: 2001:db8:0:1:8000::'],
])('subnets of %s with %j', (IPv6Network, more, wanted) => {
  const layout = parse({ EnableIPv4: false, EnableIPv6: true, IPv6Network, ...more }, 'etcd').config.layouts
    .ipv6;
  expect(`${layout?.length} ${layout?.min} ${layout?.max}`).toBe(wanted);
});

test.each([
  [{ Network: '10.0.0.0/29' }, 'Network'],
  [{ ...V4, SubnetLen: 31 }, 'SubnetLen: 31 is not allowed; it must be a whole number from 0 to 30'],
  [{ ...V4, SubnetLen: 17 }, 'at least 18'],
  [{ ...V4, SubnetLen: '24' }, 'without quotes'],
  [
    { ...V4, SubnetMin: '10.245.0.0' },
    'SubnetMin: "10.245.0.0" is not allowed; it must be an address inside 10.244.0.0/16',
  ],
  [{ ...V4, SubnetMax: '10.244.3.1' }, 'on a /24 boundary'],
  [{ ...V4, SubnetMin: '10.244.9.0', SubnetMax: '10.244.3.0' }, 'at most SubnetMax'],
])('etcd refuses %j; Kubernetes, which hands out the subnets itself, warns', (value, words) => {
  expect(() => parse(value, 'etcd')).toThrow(words);
  const { config, warnings } = parse(value);
  expect(config.layouts.ipv4).toBeUndefined();
  expect(warnings[0]).toContain('without effect');
});

const SCHEMA = {
  VNI: { help: '', kind: 'integer', min: 1, max: 0xffffff, fallback: 1 },
  MTU: { help: '', kind: 'integer', min: 576, max: 65_535 },
  DirectRouting: { help: '', kind: 'boolean', fallback: false },
  Mode: { help: '', kind: 'string', fallback: 'separate', allowed: ['separate', 'auto'] },
  PSK: { help: '', kind: 'string' },
} as const;

const backend = (Backend: unknown) => parse({ ...V4, Backend }).config.backend;

test('backend options: typed, folded, with fallbacks', () => {
  const { options, warnings } = readBackendOptions(
    backend({ Type: 'vxlan', vni: 7, directrouting: true }),
    SCHEMA,
  );
  const vni: number = options.VNI;
  const mtu: number | undefined = options.MTU;
  expect({ ...options, vni, mtu }).toEqual({
    VNI: 7,
    MTU: undefined,
    DirectRouting: true,
    Mode: 'separate',
    PSK: undefined,
    vni: 7,
    mtu: undefined,
  });
  expect(warnings).toEqual([]);
});

test('backend options: unknown keys and bad values', () => {
  expect(readBackendOptions(backend({ Type: 'vxlan', DirectRuoting: true }), SCHEMA).warnings).toEqual([
    'net-conf.json: Backend.DirectRuoting: unknown key, ignored; did you mean DirectRouting?',
  ]);
  const bad = (value: unknown) => () => readBackendOptions(backend(value), SCHEMA);
  expect(bad({ VNI: 0 })).toThrow(
    'net-conf.json: Backend.VNI: 0 is not allowed; it must be a whole number from 1 to 16777215',
  );
  expect(bad({ VNI: 1.5 })).toThrow('Backend.VNI');
  expect(bad({ mode: 'x' })).toThrow('one of separate, auto');
  expect(bad({ DirectRouting: 'yes' })).toThrow('true or false');
});
