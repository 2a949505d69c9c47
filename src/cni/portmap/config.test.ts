import { describe, expect, test } from 'bun:test';
import { readNetConf } from '../plugin.ts';
import { parsePortmap } from './config.ts';

const mapping = { hostPort: 8080, containerPort: 80 };

function parse(extra: Record<string, unknown>, portMappings: readonly unknown[] = [mapping]) {
  return parsePortmap(
    readNetConf({ cniVersion: '1.0.0', name: 'n', runtimeConfig: { portMappings }, ...extra }),
  );
}

test('a mapping, and what is left out', () => {
  expect(parse({})).toEqual({
    mappings: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, hostIp: undefined }],
    backend: undefined,
    snat: true,
    masqAll: false,
    markMasqBit: 13,
    externalSetMarkChain: undefined,
    conditions: { ipv4: [], ipv6: [] },
  });
});

test('of mappings of one port, that for one address comes first', () => {
  const list = [
    mapping,
    { ...mapping, hostPort: 9090 },
    { ...mapping, hostIP: '0.0.0.0' },
    { ...mapping, hostIP: '10.0.0.1' },
  ];
  const { mappings } = parse({}, list);
  expect(mappings.map(({ hostPort, hostIp }) => `${hostPort} ${hostIp ?? '*'}`)).toEqual([
    '8080 10.0.0.1',
    '8080 *',
    '8080 0.0.0.0',
    '9090 *',
  ]);
});

describe('the backend', () => {
  test.each([
    [{}, undefined],
    [{ backend: '' }, undefined],
    [{ backend: 'iptables' }, 'iptables'],
    [{ backend: 'nftables' }, 'nftables'],
    [{ backend: 'nftables', markMasqBit: 3, masqAll: true }, 'nftables'],
    [{ externalSetMarkChain: 'KUBE-MARK-MASQ' }, 'iptables'],
    [{ conditionsV4: ['!', '-d', '10.0.0.0/8'] }, 'iptables'],
    [{ conditionsV6: ['-d', 'fd00::/8'] }, 'iptables'],
    [{ conditionsV4: ['ip', 'daddr', '10.0.0.1'], conditionsV6: [] }, 'nftables'],
  ])('%j: %s', (extra, backend) => {
    expect(parse(extra).backend as string | undefined).toBe(backend);
  });

  test.each([
    [{ backend: 'ipfw' }, 'unsupported value of backend: "ipfw"'],
    [{ backend: 'nftables', externalSetMarkChain: 'X' }, 'externalSetMarkChain is written for iptables'],
    [{ backend: 'nftables', conditionsV4: ['-s', '10.0.0.1'] }, 'conditionsV4 is written for iptables'],
    [{ backend: 'iptables', conditionsV6: ['ip6', 'saddr', '::1'] }, 'conditionsV6 is written for nftables'],
    [
      { conditionsV4: ['-s', '10.0.0.1'], conditionsV6: ['ip6', 'saddr', '::1'] },
      'but the backend is iptables',
    ],
  ])('%j is refused', (extra, message) => {
    expect(() => parse(extra)).toThrow(message);
  });
});

test.each([
  [{ markMasqBit: 32 }, 'markMasqBit: 32 is not a whole number from 0 to 31'],
  [{ markMasqBit: 1, externalSetMarkChain: 'X' }, 'exclude each other'],
  [{ externalSetMarkChain: 'X -j ACCEPT' }, 'is not the name of a chain'],
  [{ externalSetMarkChain: '-X' }, 'is not the name of a chain'],
  [{ conditionsV4: 'x' }, 'conditionsV4: "x" is not a list'],
  [{ masqAll: 1 }, 'masqAll: 1 is not true or false'],
])('%j is refused', (extra, message) => {
  expect(() => parse(extra)).toThrow(message);
});

test.each([
  [{ hostPort: 0, containerPort: 80 }, 'hostPort: 0 is not a whole number from 1 to 65535'],
  [{ containerPort: 80 }, 'portMappings: hostPort is missing'],
  [{ ...mapping, protocol: 'icmp' }, 'protocol "icmp" is not tcp, udp or sctp'],
  [{ ...mapping, hostIP: 'x' }, 'hostIP "x" is not an IP address'],
])('%j is refused', (bad, message) => {
  expect(() => parse({}, [bad])).toThrow(message);
});
