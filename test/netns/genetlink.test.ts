import { expect, test } from 'bun:test';
import { GenericNetlink } from '#genetlink/connection.ts';
import { Ethtool } from '#genetlink/ethtool/client.ts';
import { NETLINK, NetlinkConnection } from '#netlink/connection.ts';
import { describeInNetns, must } from '../support/netns.ts';

const open = (family: string) => GenericNetlink.over(NetlinkConnection.open(NETLINK.GENERIC), family);

/** `ethtool -k`: what is on, by name; its own names for groups are left out. */
function features(link: string): Map<string, boolean> {
  const lines = must(['ethtool', '-k', link]).split('\n').slice(1);
  const pairs = lines.map((line) => /^\t?([\w-]+): (on|off)/.exec(line));
  return new Map(pairs.map((match) => [match?.[1] ?? '', match?.[2] === 'on']));
}

describeInNetns(import.meta.path, 'ethtool over netlink', () => {
  must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
  must(['ip', 'link', 'add', 'flannel.1', 'type', 'vxlan', 'id', '1', 'dev', 'eth0', 'dstport', '8472']);
  const feature = 'tx-checksum-ip-generic';
  const link = 'flannel.1';

  test('reads what ethtool reads', () => {
    using ethtool = Ethtool.open();
    for (const name of [link, 'eth0', 'lo']) {
      const on = ethtool.features(name);
      const shown = features(name);
      // Two of these are ethtool's own words.
      const both = [...shown.keys()].filter(
        (key) => key.startsWith('tx-') && key !== 'tx-checksumming' && key !== 'tx-vlan-offload',
      );
      expect(both.length).toBeGreaterThan(10);
      expect(both.filter((key) => on.has(key))).toEqual(both.filter((key) => shown.get(key)));
    }
  });

  test('changes what ethtool shows, both ways, and nothing that does not depend on it', () => {
    using ethtool = Ethtool.open();
    const before = features(link);
    expect(before.get(feature)).toBe(true);
    ethtool.setFeature({ link, feature, on: false });
    expect(features(link).get(feature)).toBe(false);
    expect(features(link).get('tx-tcp-segmentation')).toBe(false);
    ethtool.setFeature({ link, feature, on: false });
    ethtool.setFeature({ link, feature, on: true });
    expect(features(link)).toEqual(before);
    must(['ethtool', '-K', link, feature, 'off']);
    expect(ethtool.features(link).has(feature)).toBe(false);
    must(['ethtool', '-K', link, feature, 'on']);
  });

  test('what the kernel keeps, does not know or does not have is an error', () => {
    using ethtool = Ethtool.open();
    // Acknowledged, but fixed on this kind of link.
    expect(() => ethtool.setFeature({ link, feature: 'rx-vlan-filter', on: true })).toThrow('EOPNOTSUPP');
    expect(() => ethtool.setFeature({ link, feature: 'none', on: true })).toThrow(
      'turn none of flannel.1 on',
    );
    expect(() => ethtool.setFeature({ link: 'none', feature, on: true })).toThrow('ENODEV');
    expect(() => ethtool.features('none')).toThrow('ENODEV');
    // The connection goes on after each of them.
    expect(ethtool.features(link).has(feature)).toBe(true);
  });

  test('a family that the kernel does not have is not found', () => {
    expect(() => open('flannel-none')).toThrow('find the netlink family flannel-none: no such');
  });

  test('an unknown command says which kernel has it', () => {
    using generic = open('ethtool');
    const call = { command: 250, version: 1, what: 'try', write: () => {} };
    expect(() => generic.execute(call)).toThrow('EOPNOTSUPP');
  });
});
