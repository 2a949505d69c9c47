import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'bun:test';
import { ByteWriter } from '#base/bytes.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { forEachMessage, NLM_F, writeMessage, type NetlinkMessage } from '#netlink/message.ts';
import * as nft from './build.ts';
import { transactionRequests, type Change } from './change.ts';
import { differences } from './compare.ts';
import { readChain, readRule, readTable } from './message.ts';
import { PRIORITY, type Rule, type Table, type TableKey } from './objects.ts';
import { NFT_MSG } from './wire.ts';

/** The datagrams of a fixture: hexadecimal lines, a blank line behind each datagram. */
function datagrams(name: string): Uint8Array[] {
  const text = readFileSync(`${import.meta.dir}/../../test/fixtures/nftables/${name}`, 'utf8');
  const blocks = text
    .replace(/^#.*\n/, '')
    .trim()
    .split('\n\n');
  return blocks.map((block) => Uint8Array.fromHex(block.replaceAll('\n', '')));
}

function messages(bytes: Uint8Array): NetlinkMessage[] {
  const found: NetlinkMessage[] = [];
  forEachMessage(bytes, (message) => found.push({ ...message, payload: message.payload.slice() }));
  return found;
}

/** Puts a table together from messages of any origin, as the reader of a live table does. */
function tableFrom(key: TableKey, all: readonly NetlinkMessage[]): Table {
  const of = (type: number) => all.filter((message) => message.type === type);
  const table = of(NFT_MSG.NEWTABLE)
    .map(readTable)
    .find((each) => each?.family === key.family && each.name === key.name);
  const heads = of(NFT_MSG.NEWCHAIN).map((message) => readChain(key, message));
  const rules = of(NFT_MSG.NEWRULE).map((message) => readRule(key, message));
  return {
    ...key,
    ...table,
    chains: heads
      .filter((head) => head !== undefined)
      .map((head) => ({
        ...head,
        rules: rules.filter((each) => each?.chain === head.name).flatMap((each) => each?.rule ?? []),
      })),
  };
}

const NETWORK = Cidr.parse('10.244.0.0/16');
const SUBNET = Cidr.parse('10.244.1.0/24');

const flannel: Table = {
  family: 'ip',
  name: 'flannel-ipv4',
  comment: 'rules for flannel-ipv4',
  chains: [
    {
      name: 'postrtg',
      comment: 'chain to manage traffic masquerading by flannel',
      hook: { type: 'nat', point: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' },
      rules: [
        // meta mark 0x00004000 return
        nft.rule([nft.mark('==', 0x4000), nft.back]),
        // ip saddr 10.244.1.0/24 ip daddr 10.244.0.0/16 return
        nft.rule([nft.saddr('==', SUBNET), nft.daddr('==', NETWORK), nft.back]),
        // ip saddr 10.244.0.0/16 ip daddr 10.244.1.0/24 return
        nft.rule([nft.saddr('==', NETWORK), nft.daddr('==', SUBNET), nft.back]),
        // ip saddr != 10.244.1.0/24 ip daddr 10.244.0.0/16 return
        nft.rule([nft.saddr('!=', SUBNET), nft.daddr('==', NETWORK), nft.back]),
        // ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random
        nft.rule([
          nft.saddr('==', NETWORK),
          nft.daddr('!=', Cidr.parse('224.0.0.0/4')),
          nft.masquerade({ fullyRandom: true }),
        ]),
        // ip saddr != 10.244.0.0/16 ip daddr 10.244.0.0/16 masquerade fully-random
        nft.rule([nft.saddr('!=', NETWORK), nft.daddr('==', NETWORK), nft.masquerade({ fullyRandom: true })]),
      ],
    },
    {
      name: 'forward',
      comment: 'chain to accept flannel traffic',
      hook: { type: 'filter', point: 'forward', priority: PRIORITY.filter, policy: 'accept' },
      rules: [
        nft.rule([nft.saddr('==', NETWORK), nft.accept]),
        nft.rule([nft.daddr('==', NETWORK), nft.accept]),
      ],
    },
  ],
};

describe('what nft sends', () => {
  const [bytes = new Uint8Array(0)] = datagrams('flannel-ipv4.sent.hex');

  test('decodes to the table that the builder makes', () => {
    expect(differences(flannel, tableFrom(flannel, messages(bytes)))).toEqual([]);
  });

  test('is what we send, byte for byte in chains and rules', () => {
    const changes: Change[] = [
      { do: 'add table', table: flannel, comment: flannel.comment },
      ...flannel.chains.map((chain): Change => ({ do: 'add chain', table: flannel, chain })),
      ...flannel.chains.flatMap(({ name, rules }) =>
        rules.map((rule): Change => ({ do: 'add rule', table: flannel, chain: name, rule })),
      ),
    ];
    const out = new ByteWriter();
    for (const [at, request] of transactionRequests(changes).entries()) writeMessage(out, request, at, 0);
    const hex = (all: readonly NetlinkMessage[]) =>
      all
        .filter(({ type }) => type !== NFT_MSG.NEWTABLE)
        .map(({ type, payload }) => `${type} ${payload.toHex()}`);
    expect(hex(messages(out.written()))).toEqual(hex(messages(bytes)));
  });
});

test('a transaction asks for one acknowledgement, of its last step', () => {
  const changes: Change[] = [
    { do: 'add table', table: flannel },
    { do: 'delete table', table: flannel },
  ];
  const asked = transactionRequests(changes).map(({ flags }) => (flags & NLM_F.ACK) !== 0);
  expect(asked).toEqual([false, false, true, false]);
});

describe('what the kernel answers', () => {
  const all = datagrams('portmap.answers.hex').flatMap(messages);
  const comment = 'cont-nftables';
  const byName = (table: Table) => new Map(table.chains.map(({ name, rules }) => [name, rules]));
  const same = (rules: readonly Rule[] | undefined, wanted: readonly Rule[]) => {
    const wrap = (list: readonly Rule[]): Table => ({
      family: 'ip',
      name: 't',
      chains: [{ name: 'c', rules: list }],
    });
    expect(differences(wrap(wanted), wrap(rules ?? []))).toEqual([]);
  };

  test('of dnat, fib and jumps, IPv4', () => {
    const table = tableFrom({ family: 'ip', name: 'cni_hostport' }, all);
    expect(table.comment).toBe('CNI portmap plugin');
    expect(table.chains.map(({ name }) => name)).toEqual([
      'hostports',
      'hostip_hostports',
      'hostports_all',
      'prerouting',
      'output',
      'masquerading',
    ]);
    expect(table.chains[4]?.hook).toEqual({
      type: 'nat',
      point: 'output',
      priority: PRIORITY.dstnat,
      policy: 'accept',
    });
    const pod = Ip.parse('10.244.1.9');
    same(byName(table).get('hostports'), [
      // tcp dport 8080 dnat to 10.244.1.9:80 comment "cont-nftables"
      nft.rule([nft.dport('tcp', 8080), nft.dnat(pod, 80)], comment),
      // ip daddr 127.0.0.1 udp dport 8053 dnat to 10.244.1.9:53 comment "cont-nftables"
      nft.rule(
        [nft.daddr('==', Cidr.parse('127.0.0.1/32')), nft.dport('udp', 8053), nft.dnat(pod, 53)],
        comment,
      ),
    ]);
    // fib daddr type local jump hostports_all
    same(byName(table).get('prerouting'), [nft.rule([nft.fibDaddrLocal(), nft.jump('hostports_all')])]);
    expect(byName(table).get('hostports')?.[0]?.handle).toBeGreaterThan(0n);
  });

  test('of dnat, IPv6', () => {
    const table = tableFrom({ family: 'ip6', name: 'cni_hostport' }, all);
    same(byName(table).get('hostports'), [
      // tcp dport 8080 dnat to [2001:cafe:42:1::9]:80 comment "cont-nftables"
      nft.rule([nft.dport('tcp', 8080), nft.dnat(Ip.parse('2001:cafe:42:1::9'), 80)], comment),
    ]);
    const self = Cidr.parse('2001:cafe:42:1::9/128');
    same(byName(table).get('masquerading'), [
      nft.rule([nft.saddr('==', self), nft.daddr('==', self), nft.masquerade()], comment),
    ]);
  });

  test('cut anywhere is an error or a table, never a hang or a wild read', () => {
    const [, , rules = new Uint8Array(0)] = datagrams('portmap.answers.hex');
    for (let length = 16; length < rules.length; length += 7) {
      const [first] = messages(rules);
      const payload = first?.payload.subarray(0, length - 16) ?? new Uint8Array(0);
      const message = { type: NFT_MSG.NEWRULE, flags: 0, sequence: 0, payload };
      const key = { family: 'ip', name: 'cni_hostport' } as const;
      try {
        readRule(key, message);
      } catch (error) {
        expect(error).toHaveProperty('name', 'DecodeError');
      }
    }
  });
});
