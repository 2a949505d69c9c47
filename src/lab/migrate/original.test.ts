import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  originalAnnotations,
  originalDelegate,
  originalIptables,
  originalNftables,
  originalSubnetEnv,
  type OriginalNode,
} from './original.ts';

/** A recording, without its first line, which names the command. */
function golden(path: string): string {
  const file = join(import.meta.dir, '../../../test/fixtures/goldens', path);
  return readFileSync(file, 'utf8').replace(/^\$ .*\n/, '');
}

const NODE = { podCidr: '10.244.1.0/24', ip: '192.168.50.11' };
const CASES: readonly { folder: string; node: OriginalNode }[] = [
  { folder: 'vxlan-iptables', node: { ...NODE, mac: '5a:63:06:9a:76:87' } },
  { folder: 'vxlan-nftables', node: { ...NODE, mac: 'ce:13:be:ae:4d:53' } },
  { folder: 'host-gw', node: { ...NODE, mac: undefined } },
];

test.each(CASES)('a node is what was recorded of the original: $folder', ({ folder, node }) => {
  expect(originalSubnetEnv(node)).toBe(golden(`${folder}/subnet.env`));
  const recorded = JSON.parse(golden(`${folder}/node.json`)) as {
    metadata: { annotations: Record<string, string> };
  };
  const { x: _others, ...own } = recorded.metadata.annotations;
  expect(originalAnnotations(node)).toEqual(own);
});

test('and its rules', () => {
  const withoutComments = (save: string) => save.replaceAll(/^#.*\n/gm, '');
  for (const folder of ['vxlan-iptables', 'host-gw'])
    expect(originalIptables({ ...NODE, mac: undefined })).toBe(
      withoutComments(golden(`${folder}/iptables-save.txt`)),
    );
  expect(originalNftables({ ...NODE, mac: undefined })).toBe(golden('vxlan-nftables/nft.txt'));
});

test('and what its plugin gave to bridge', () => {
  // As it was kept in /var/lib/cni/flannel with vxlan.
  expect(JSON.stringify(originalDelegate({ ...NODE, mac: '5a:63:06:9a:76:87' }))).toBe(
    '{"cniVersion":"0.3.1","hairpinMode":true,"ipMasq":false,"ipam":{"ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}],"type":"host-local"},"isDefaultGateway":true,"isGateway":true,"mtu":1450,"name":"cbr0","type":"bridge"}',
  );
});
