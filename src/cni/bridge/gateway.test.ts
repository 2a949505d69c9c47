import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { readNetConf } from '../plugin.ts';
import { EMPTY_RESULT, type CniResult } from '../result.ts';
import { parseBridge } from './config.ts';
import { gatewayFor, planAddressing } from './gateway.ts';

const IPAM: CniResult = {
  ...EMPTY_RESULT,
  ips: [
    { address: Cidr.parse('10.1.2.3/24'), gateway: Ip.parse('10.1.2.254') },
    { address: Cidr.parse('fd00::5/64') },
  ],
  routes: [{ dst: Cidr.parse('10.0.0.0/8') }],
};

const shown = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

test('the default gateway: bridge addresses, a default route per family behind the given ones', () => {
  const plan = planAddressing(IPAM, { isGateway: true, isDefaultGateway: true });
  expect(shown(plan)).toEqual({
    ips: [
      { address: '10.1.2.3/24', gateway: '10.1.2.254', interface: 2 },
      { address: 'fd00::5/64', gateway: 'fd00::1', interface: 2 },
    ],
    routes: [{ dst: '10.0.0.0/8' }, { dst: '0.0.0.0/0', gw: '10.1.2.254' }, { dst: '::/0', gw: 'fd00::1' }],
    gateways: ['10.1.2.254/24', 'fd00::1/64'],
  });
});

test('a default route that is given stays alone', () => {
  const routes = [{ dst: Cidr.parse('0.0.0.0/0'), gw: Ip.parse('10.1.2.9') }];
  const plan = planAddressing({ ...IPAM, routes }, { isGateway: true, isDefaultGateway: true });
  expect(shown(plan.routes)).toEqual([
    { dst: '0.0.0.0/0', gw: '10.1.2.9' },
    { dst: '::/0', gw: 'fd00::1' },
  ]);
});

test('without a gateway nothing is made up', () => {
  const plan = planAddressing(IPAM, { isGateway: false, isDefaultGateway: false });
  expect(shown(plan)).toEqual({
    ips: [
      { address: '10.1.2.3/24', gateway: '10.1.2.254', interface: 2 },
      { address: 'fd00::5/64', interface: 2 },
    ],
    routes: [{ dst: '10.0.0.0/8' }],
    gateways: [],
  });
  expect(gatewayFor({ dst: Cidr.parse('10.0.0.0/8') }, plan.ips)?.toString()).toBe('10.1.2.254');
  expect(gatewayFor({ dst: Cidr.parse('::/0') }, plan.ips)).toBeUndefined();
  // Reached directly: the kernel refuses a gateway.
  expect(gatewayFor({ dst: Cidr.parse('10.0.0.0/8'), scope: 253 }, plan.ips)).toBeUndefined();
});

function config(extra: object, cniArgs: Record<string, string> = {}) {
  const args = {
    containerId: 'c',
    netns: '',
    ifName: 'eth0',
    extra: new Map(Object.entries(cniArgs)),
    path: [],
  };
  return parseBridge(readNetConf({ name: 'n', ...extra }), args);
}

test('keys are found whatever their case, as Go finds them; the exact spelling wins', () => {
  expect(config({ HairpinMode: true, BRIDGE: 'br1', bridge: 'br2' })).toMatchObject({
    hairpin: true,
    bridge: 'br2',
  });
  expect(config({ isDefaultGateway: true })).toMatchObject({
    isGateway: true,
    bridge: 'cni0',
    ipamType: undefined,
  });
});

test('the MAC: runtimeConfig, then args.cni, then CNI_ARGS', () => {
  const runtimeConfig = { mac: '02:00:00:00:00:01' };
  const args = { cni: { mac: '02:00:00:00:00:02' } };
  const env = { MAC: '02-00-00-00-00-03' };
  expect(config({ runtimeConfig, args }, env).mac?.toString()).toBe('02:00:00:00:00:01');
  expect(config({ args }, env).mac?.toString()).toBe('02:00:00:00:00:02');
  expect(config({}, env).mac?.toString()).toBe('02:00:00:00:00:03');
});

test.each([
  [{ macspoofchk: 'yes' }, 7, /macspoofchk: "yes" is not true or false/],
  [{ hairpinMode: true, promiscMode: true }, 7, /hairpin/],
  [{ disableContainerInterface: true, ipam: { type: 'host-local' } }, 7, /disableContainerInterface/],
  [{ bridge: '../../etc' }, 7, /bridge/],
  [{ mtu: -1 }, 7, /mtu: -1/],
  [{ mtu: '1500' }, 7, /mtu: "1500"/],
  [{ isGateway: 'yes' }, 7, /isGateway: "yes" is not true or false/],
  [{ runtimeConfig: { mac: 'ff:ff:ff:ff:ff:ff' } }, 7, /mac/],
])('refused: %j', (extra, code, message) => {
  expect(() => config(extra)).toThrow(
    expect.objectContaining({ cniCode: code, message: expect.stringMatching(message) }),
  );
});
