import { afterAll, expect, test } from 'bun:test';
import {
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  readFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { gatewayOf, parseSubnetEnv, readSubnetEnv, renderSubnetEnv, writeSubnetEnv } from './env.ts';

const dir = mkdtempSync(`${tmpdir()}/subnet-env-`);
afterAll(() => rmSync(dir, { recursive: true }));

// goldens/vxlan-dual-nftables/subnet.env, written by the original.
const DUAL = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_IPV6_NETWORK=2001:cafe:42::/56
FLANNEL_IPV6_SUBNET=2001:cafe:42:1::1/64
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
`;

// goldens/host-gw/subnet.env.
const V4 = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1500
FLANNEL_IPMASQ=true
`;

const V6 = `FLANNEL_IPV6_NETWORK=2001:cafe:42::/56
FLANNEL_IPV6_SUBNET=2001:cafe:42:1::1/64
FLANNEL_MTU=1430
FLANNEL_IPMASQ=false
`;

test.each([DUAL, V4, V6])('byte for byte, both ways: %#', (text) => {
  expect(renderSubnetEnv(parseSubnetEnv(text, 'subnet.env'))).toBe(text);
});

test('the gateway is the first usable address', () => {
  expect(String(gatewayOf(Cidr.parse('10.244.1.0/24')))).toBe('10.244.1.1/24');
  expect(String(gatewayOf(Cidr.parse('2001:cafe:42:1::/64')))).toBe('2001:cafe:42:1::1/64');
});

test('a list of networks, blanks, CRLF and unknown keys', () => {
  const text =
    '\r\nFLANNEL_NETWORK=10.244.0.0/16,10.245.0.0/16\r\nX=1\r\nFLANNEL_SUBNET=10.244.1.1/24\r\nFLANNEL_MTU=0\r\nFLANNEL_IPMASQ=T\r\n';
  const env = parseSubnetEnv(text, 'subnet.env');
  expect(env.networks.ipv4?.map(String)).toEqual(['10.244.0.0/16', '10.245.0.0/16']);
  expect(env.ipMasq).toBe(true);
});

test.each([
  ['', 'holds neither'],
  [V4.replace(/FLANNEL_NETWORK.*\n/, ''), 'FLANNEL_NETWORK: is missing'],
  [V4.replace('10.244.1.1/24', '10.244.1.1'), 'FLANNEL_SUBNET: "10.244.1.1" is not an IPv4 CIDR'],
  [V4.replace('10.244.0.0/16', '2001:db8::/64'), 'FLANNEL_NETWORK'],
  [V4.replace('1500', '-1'), 'FLANNEL_MTU: "-1" is not allowed'],
  [V4.replace('1500', '99999'), 'FLANNEL_MTU'],
  [V4.replace(/FLANNEL_MTU.*\n/, ''), 'FLANNEL_MTU: is missing'],
  [V4.replace('true', 'yes'), 'FLANNEL_IPMASQ: "yes" is not allowed'],
])('refuses %#', (text, words) => {
  expect(() => parseSubnetEnv(text, '/run/flannel/subnet.env')).toThrow(ConfigError);
  expect(() => parseSubnetEnv(text, '/run/flannel/subnet.env')).toThrow(words);
});

test('writes atomically, makes the folder, mode 0644 under any umask', () => {
  const path = `${dir}/run/flannel/subnet.env`;
  const before = process.umask(0o077);
  try {
    writeSubnetEnv(path, parseSubnetEnv(DUAL, path));
  } finally {
    process.umask(before);
  }
  expect(readFileSync(path, 'utf8')).toBe(DUAL);
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(readdirSync(`${dir}/run/flannel`)).toEqual(['subnet.env']);
  writeSubnetEnv(path, parseSubnetEnv(V4, path));
  expect(renderSubnetEnv(readSubnetEnv(path))).toBe(V4);
});

test('a symbolic link is replaced, not followed', () => {
  writeFileSync(`${dir}/victim`, 'untouched');
  symlinkSync(`${dir}/victim`, `${dir}/link.env`);
  writeSubnetEnv(`${dir}/link.env`, parseSubnetEnv(V4, ''));
  expect(readFileSync(`${dir}/victim`, 'utf8')).toBe('untouched');
  expect(readFileSync(`${dir}/link.env`, 'utf8')).toBe(V4);
});

test('a failed write leaves nothing behind', () => {
  expect(() => writeSubnetEnv(`${dir}/run`, parseSubnetEnv(V4, ''))).toThrow();
  expect(readdirSync(dir).filter((name) => name.startsWith('.'))).toEqual([]);
});
