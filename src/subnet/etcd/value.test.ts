import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { Ip } from '#net/ip.ts';
import { parseSubnetName } from './keys.ts';
import { parseLeaseValue, renderLeaseValue } from './value.ts';

/** `etcdctl get --prefix` as recorded from the original: key and value on alternating lines. */
function recorded(file: string): { name: string; value: string } {
  const text = readFileSync(new URL(`../../../test/fixtures/etcd/${file}`, import.meta.url), 'utf8');
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith('/coreos.com/network/subnets/'));
  return { name: lines[at]?.split('/').at(-1) ?? '', value: lines[at + 1] ?? '' };
}

test.each(['lease-v4.txt', 'lease-dual.txt'])('%s: the same bytes as the original', (file) => {
  const { name, value } = recorded(file);
  expect(parseSubnetName(name)).toBeDefined();
  const parsed = parseLeaseValue(value);
  if (typeof parsed === 'string') throw new Error(parsed);
  expect(renderLeaseValue(parsed)).toBe(value);
});

test('a backend without data writes none, and IPv6 alone an IPv4 address of zeros', () => {
  const publicIp = { ipv6: Ip.parse('fd50::11') };
  const text = renderLeaseValue({ backendType: 'host-gw', publicIp, backendData: { ipv6: 'null' } });
  expect(text).toBe('{"PublicIP":"0.0.0.0","PublicIPv6":"fd50::11","BackendType":"host-gw"}');
  const parsed = parseLeaseValue(text);
  expect(parsed).toMatchObject({ backendType: 'host-gw', backendData: { ipv4: 'null', ipv6: 'null' } });
  expect(typeof parsed === 'string' ? parsed : parsed.publicIp.ipv4).toBeUndefined();
});

test('keys in any case, as Go reads them', () => {
  const parsed = parseLeaseValue('{"publicip":"10.0.0.1","BACKENDTYPE":"vxlan"}');
  expect(parsed).toMatchObject({ backendType: 'vxlan' });
});

test.each([
  ['{', 'is not JSON'],
  ['[]', 'is not a JSON object'],
  ['"x"', 'is not a JSON object'],
  ['{"PublicIP":7}', 'publicip is not a string'],
  ['{"PublicIP":"fd00::1"}', 'publicip is not an address'],
  ['{"PublicIPv6":"10.0.0.1"}', 'publicipv6 is not an address'],
  ['{"PublicIP":"10.0.0.1","BackendType":{}}', 'BackendType is not'],
  [`{"BackendData":"${'x'.repeat(5000)}"}`, 'backenddata is too long'],
  [`{"x":"${'x'.repeat(20_000)}"}`, 'longer than'],
])('no value: %s', (text, why) => {
  expect(parseLeaseValue(text)).toContain(why);
});
