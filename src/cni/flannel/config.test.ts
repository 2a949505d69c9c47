import { expect, test } from 'bun:test';
import { parseSubnetEnv } from '#subnet/env-text.ts';
import { sortedJson, type JsonObject } from '../json.ts';
import { readNetConf } from '../plugin.ts';
import { delegateConfig, parseFlannel } from './config.ts';

const ENV = `FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.1.1/24
FLANNEL_MTU=1500
FLANNEL_IPMASQ=true
`;
const DUAL = `FLANNEL_IPV6_NETWORK=2001:cafe:42::/56
FLANNEL_IPV6_SUBNET=2001:cafe:42:1::1/64
`;

function merged(extra: JsonObject, env = ENV): string {
  const conf = readNetConf({ name: 'cbr0', type: 'flannel', cniVersion: '0.3.1', ...extra });
  return sortedJson(delegateConfig(conf, parseFlannel(conf), parseSubnetEnv(env, 'subnet.env')));
}

const DELEGATE = { delegate: { hairpinMode: true, isDefaultGateway: true } };

test('the delegate of the usual configuration, byte for byte as the original keeps it', () => {
  expect(merged(DELEGATE)).toBe(
    '{"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],' +
      '"routes":[{"dst":"10.244.0.0/16"}],"type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1500,' +
      '"name":"cbr0","type":"bridge"}',
  );
});

test('the same with two families', () => {
  expect(merged(DELEGATE, ENV + DUAL)).toBe(
    '{"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}],' +
      '[{"subnet":"2001:cafe:42:1::/64"}]],"routes":[{"dst":"10.244.0.0/16"},{"dst":"2001:cafe:42::/56"}],' +
      '"type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1500,"name":"cbr0","type":"bridge"}',
  );
});

test('what the administrator wrote wins; what is flannel’s to say does not', () => {
  const text = merged({
    delegate: { type: 'macvlan', mtu: 9000, ipMasq: true, cniVersion: '0.1.0' },
    ipam: { type: 'other', dataDir: '/d', ranges: [], routes: [{ dst: '1.0.0.0/8', gw: '1.1.1.1', mtu: 9 }] },
    runtimeConfig: { mac: '02:00:00:00:00:01' },
  });
  expect(JSON.parse(text)).toEqual({
    cniVersion: '0.3.1',
    name: 'cbr0',
    type: 'macvlan',
    mtu: 9000,
    ipMasq: true,
    runtimeConfig: { mac: '02:00:00:00:00:01' },
    ipam: {
      type: 'other',
      dataDir: '/d',
      ranges: [[{ subnet: '10.244.1.0/24' }]],
      routes: [{ dst: '1.0.0.0/8', gw: '1.1.1.1', mtu: 9 }, { dst: '10.244.0.0/16' }],
    },
  });
});

test('ipMasq is the opposite of the agent’s, and several networks are several routes', () => {
  const env = ENV.replace('IPMASQ=true', 'IPMASQ=false').replace(
    '10.244.0.0/16',
    '10.244.0.0/16,10.245.0.0/16',
  );
  const value = JSON.parse(merged({}, env)) as { ipMasq: boolean; ipam: { routes: unknown } };
  expect(value.ipMasq).toBe(true);
  expect(value.ipam.routes).toEqual([{ dst: '10.244.0.0/16' }, { dst: '10.245.0.0/16' }]);
});

test.each([
  [{ delegate: { name: 'x' } }, /must not have 'name'/],
  [{ delegate: { ipam: {} } }, /must not have 'ipam'/],
  [{ delegate: { type: 7 } }, /\(string\) 'type'/],
  [{ delegate: 7 }, /delegate: 7 is not an object/],
  [{ ipam: { routes: [{ dst: 'x' }] } }, /dst: "x"/],
  [{ subnetFile: [] }, /subnetFile: \[\] is not a string/],
  [{ subnetFile: 'run/subnet.env' }, /subnetFile: "run\/subnet.env" is not an absolute path/],
  [{ dataDir: '../x' }, /dataDir: "..\/x" is not an absolute path/],
  [{ dataDir: '/x\0y' }, /dataDir: "\/x\\u0000y" is not/],
])('refused: %j', (extra, message) => {
  expect(() => merged(extra)).toThrow(message);
});
