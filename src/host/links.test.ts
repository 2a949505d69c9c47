import { expect, test } from 'bun:test';
import { testKernel, testLink, testMac } from './fixtures.ts';
import type { HostLink } from './kernel.ts';
import { linkDifference, staleLinks } from './links.ts';
import type { VxlanLink } from './plan.ts';

/** `flannel.1` as the kernel shows it, and its parent. */
function live(): { device: HostLink; parent: HostLink } {
  const kernel = testKernel();
  kernel.apply([
    { op: 'create-vxlan', link: testLink() },
    { op: 'set-link', name: 'flannel.1', up: true },
  ]);
  const [parent, device] = kernel.links();
  if (parent === undefined || device === undefined) throw new Error('two links');
  return { device, parent };
}

test('a sound device needs nothing, also when its parent cannot be seen', () => {
  const { device, parent } = live();
  const nothing = { ops: [], found: [], created: false };
  expect(linkDifference(testLink(), device, parent)).toEqual(nothing);
  expect(linkDifference(testLink(), device, undefined)).toEqual(nothing);
});

test('a missing device is made and brought up', () => {
  const difference = linkDifference(testLink(), undefined, live().parent);
  expect(difference).toEqual({
    ops: [
      { op: 'create-vxlan', link: testLink() },
      { op: 'set-link', name: 'flannel.1', up: true },
    ],
    found: ['link flannel.1 missing'],
    created: true,
  });
});

test('what can be changed is changed in one step', () => {
  const { device, parent } = live();
  const shabby = { ...device, mtu: 1400, mac: undefined, up: false };
  const { ops, found, created } = linkDifference(testLink(), shabby, parent);
  expect(created).toBe(false);
  expect(ops).toEqual([{ op: 'set-link', name: 'flannel.1', mtu: 1450, mac: testLink().mac, up: true }]);
  expect(found).toEqual([
    'link flannel.1 has MTU 1400, not 1450',
    'link flannel.1 has MAC none, not ce:13:be:ae:4d:53',
    'link flannel.1 is down',
  ]);
});

test('a device that cannot be changed is made anew, whatever else is wrong with it', () => {
  const { device, parent } = live();
  const wanted = testLink({ mac: testMac(9), vni: 2, port: 4789 });
  const { ops, found, created } = linkDifference(wanted, device, parent);
  expect(ops.map(({ op }) => op)).toEqual(['delete-link', 'create-vxlan', 'set-link']);
  expect(found).toEqual(['link flannel.1 has VNI 1, not 2, port 8472, not 4789']);
  expect(created).toBe(true);
  const anywhere = { ...device, vxlan: device.vxlan && { ...device.vxlan, local: undefined } };
  expect(linkDifference(testLink(), anywhere, parent).found).toEqual([
    'link flannel.1 has local any, not 192.168.50.11',
  ]);
});

test('stale devices have names and kinds that only Flannel gives', () => {
  const { device } = live();
  const named = (name: string, kind: string | undefined = 'vxlan'): HostLink => ({
    ...device,
    mac: testMac(9),
    name,
    kind,
  });
  const links = [
    named('flannel.1'),
    named('flannel.2'),
    named('flannel-v6.1'),
    named('flannel.x'),
    named('myflannel.3'),
    named('flannel.4', 'dummy'),
    named('flannel0', 'tun'),
    named('flannel-wg', 'wireguard'),
    named('flannel-wg-v6', 'wireguard'),
    named('flannel-wg', 'dummy'),
    named('wg0', 'wireguard'),
    named('flannel.ipip', 'ipip'),
    named('tunl0', 'ipip'),
  ];
  const others = ['flannel-wg', 'flannel-wg-v6', 'flannel.ipip'];
  const stale = (wanted: readonly VxlanLink[]) =>
    staleLinks({ links: wanted }, links).map(({ name }) => name);
  expect(stale([testLink()])).toEqual(['flannel.2', 'flannel-v6.1', ...others]);
  expect(stale([])).toEqual(['flannel.1', 'flannel.2', 'flannel-v6.1', ...others]);
  expect(staleLinks({ links: [], keepDevices: true }, links)).toEqual([]);
});

test('a device of ours that somebody renamed holds the VNI: it is stale, one with another MAC is not ours', () => {
  const { device } = live();
  const renamed = { ...device, name: 'mine0' };
  const theirs = { ...renamed, name: 'theirs', mac: testMac(9) };
  expect(staleLinks({ links: [testLink()] }, [renamed, theirs])).toEqual([renamed]);
  expect(staleLinks({ links: [testLink({ port: 4789 })] }, [renamed])).toEqual([]);
});

test('a device in a bridge is taken out, one with a default destination is made anew', () => {
  const { device, parent } = live();
  const { ops, found } = linkDifference(testLink(), { ...device, master: 9 }, parent);
  expect(ops).toEqual([{ op: 'set-link', name: 'flannel.1', leave: true }]);
  expect(found).toEqual(['link flannel.1 is part of another device']);
  const remote = testLink().local;
  const bent = { ...device, vxlan: device.vxlan && { ...device.vxlan, remote } };
  expect(linkDifference(testLink(), bent, parent)).toMatchObject({
    found: [`link flannel.1 has default destination ${remote}`],
    created: true,
  });
});
