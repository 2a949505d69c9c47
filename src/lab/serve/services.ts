import { ByteWriter } from '#base/bytes.ts';
import { Netns, withNetns } from '#ffi/netns.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import * as nft from '#nftables/build.ts';
import { Nftables } from '#nftables/connection.ts';
import { PRIORITY, type Chain, type Rule, type Table } from '#nftables/objects.ts';
import { ECHO_PORT, NODE_PORT, POD_NETWORK, SERVICE_IP, SERVICE_PORT } from '../state/address-plan.ts';

/** kube-proxy's mark for "masquerade me", which flannel's rules let pass (`--iptables-masquerade-bit` 14). */
export const MASQUERADE_MARK = 0x4000;
export const LAB_TABLE = { family: 'ip', name: 'flannel-lab' } as const;

/**
 * The rules that kube-proxy would write for one service with one endpoint: a cluster address and a port on every node.
 * Packets that do not come from a pod are marked and masqueraded, so that the answers come back through this node.
 */
export function serviceTable(endpoint: string): Table {
  return {
    ...LAB_TABLE,
    comment: 'the lab in the place of kube-proxy',
    chains: [
      natChain('prerouting', PRIORITY.dstnat, [nft.rule([nft.jump('services')])]),
      natChain('output', PRIORITY.dstnat, [nft.rule([nft.jump('services')])]),
      natChain('postrouting', PRIORITY.srcnat, [
        // meta mark & 0x4000 == 0x4000 meta mark set meta mark & 0xffffbfff masquerade fully-random
        nft.rule([
          nft.mark('==', MASQUERADE_MARK, MASQUERADE_MARK),
          setMarkBits(0),
          nft.masquerade({ fullyRandom: true }),
        ]),
      ]),
      { name: 'services', rules: serviceRules(Ip.parse(endpoint)) },
    ],
  };
}

function natChain(
  point: 'prerouting' | 'output' | 'postrouting',
  priority: number,
  rules: readonly Rule[],
): Chain {
  return { name: point, hook: { type: 'nat', point, priority, policy: 'accept' }, rules };
}

function serviceRules(endpoint: Ip): Rule[] {
  const cluster = [nft.daddr('==', Cidr.parse(`${SERVICE_IP}/32`)), nft.dport('tcp', SERVICE_PORT)];
  const nodePort = [nft.fibDaddrLocal(), nft.dport('tcp', NODE_PORT)];
  return [
    // ip saddr != 10.244.0.0/16 ip daddr 10.96.0.10 tcp dport 80 meta mark set meta mark | 0x4000
    nft.rule([nft.saddr('!=', Cidr.parse(POD_NETWORK)), ...cluster, setMarkBits(MASQUERADE_MARK)]),
    // ip daddr 10.96.0.10 tcp dport 80 dnat to <endpoint>
    nft.rule([...cluster, nft.dnat(endpoint, ECHO_PORT)]),
    // fib daddr type local tcp dport 30080 meta mark set meta mark | 0x4000
    nft.rule([...nodePort, setMarkBits(MASQUERADE_MARK)]),
    // fib daddr type local tcp dport 30080 dnat to <endpoint>
    nft.rule([...nodePort, nft.dnat(endpoint, ECHO_PORT)]),
  ];
}

/** `meta mark set meta mark & 0xffffbfff ^ <value>`: the mark's bit becomes that of `value`, the others stay. */
function setMarkBits(value: number): nft.Part {
  const host32 = (number: number) => new ByteWriter(4).u32(number >>> 0).copy();
  // NFTA_META_KEY = NFT_META_MARK, NFTA_META_SREG = register 1 (`linux/netfilter/nf_tables.h`).
  const data = new ByteWriter(16).u16(8).u16(2).be32(3).u16(8).u16(3).be32(1).copy();
  return [
    { kind: 'meta', key: 'mark', register: 1 },
    { kind: 'bitwise', source: 1, target: 1, mask: host32(~MASQUERADE_MARK), xor: host32(value) },
    { kind: 'other', name: 'meta', data },
  ];
}

/** Writes the service rules of one node, in one transaction. */
export function writeServices(node: { readonly pid: number }, endpoint: string): void {
  using netns = Netns.open(`/proc/${node.pid}/ns/net`);
  using nftables = withNetns(netns, () => Nftables.open());
  nftables.replace(serviceTable(endpoint));
}
