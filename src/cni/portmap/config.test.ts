import { expect, test } from 'bun:test';
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
    snat: true,
  });
});

test.each([
  ['backend', 'iptables'],
  ['masqAll', true],
  ['markMasqBit', 13],
  ['markMasqBit', 0],
  ['conditionsV4', ['-s', '10.0.0.0/8']],
  ['conditionsV6', ['-s', 'fd00::/8']],
  ['externalSetMarkChain', 'KUBE-MARK-MASQ'],
])('%s: %j is refused by name, once there is something to map', (key, value) => {
  expect(() => parse({ [key]: value })).toThrow(`unsupported value of ${key}: ${JSON.stringify(value)}`);
  expect(parse({ [key]: value }, []).mappings).toEqual([]);
});

test.each([
  [{ hostPort: 0, containerPort: 80 }, 'hostPort: 0 is not a whole number from 1 to 65535'],
  [{ containerPort: 80 }, 'portMappings: hostPort is missing'],
  [{ ...mapping, protocol: 'icmp' }, 'protocol "icmp" is not tcp, udp or sctp'],
  [{ ...mapping, hostIP: 'x' }, 'hostIP "x" is not an IP address'],
])('%j is refused', (bad, message) => {
  expect(() => parse({}, [bad])).toThrow(message);
});
