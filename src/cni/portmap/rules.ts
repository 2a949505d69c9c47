import { readBe16 } from '#base/bytes.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import {
  ctStatusDnat,
  daddr,
  dnat,
  dport,
  fibDaddrLocal,
  jump,
  masquerade,
  rule,
  saddr,
} from '#nftables/build.ts';
import type { Change } from '#nftables/change.ts';
import { sameRule } from '#nftables/compare.ts';
import type { Expression } from '#nftables/expression.ts';
import { PRIORITY, type Rule, type Table, type TableKey } from '#nftables/objects.ts';
import { nftConditions } from './conditions.ts';
import { onlyHostIp, type PortProtocol } from './config.ts';
import { mappingsFor, type Forwarding, type LostMapping } from './forwarding.ts';
import { commentOf, CONTAINER_CHAINS, tagOf } from './names.ts';

type ContainerChain = (typeof CONTAINER_CHAINS)[number];

const PROTOCOLS: Readonly<Record<number, PortProtocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

function host(ip: Ip): Cidr {
  return new Cidr(ip, ip.bits);
}

/** The container's rules by chain, for its address `ip`. */
export function containerRules(
  forwarding: Forwarding,
  ip: Ip,
): readonly (readonly [chain: ContainerChain, rule: Rule])[] {
  const { config } = forwarding;
  const owned = (parts: Parameters<typeof rule>[0]): Rule => ({
    ...rule(parts, commentOf(forwarding)),
    tag: tagOf(forwarding.network),
  });
  const conditions = nftConditions(config.conditions[ip.family], ip.family);
  const rules: [ContainerChain, Rule][] = [];
  for (const mapping of mappingsFor(config, ip.family)) {
    const { protocol, hostPort, containerPort } = mapping;
    const hostIp = onlyHostIp(mapping);
    const only = hostIp === undefined ? [] : [daddr('==', host(hostIp))];
    for (const parts of conditions) {
      // ip daddr 127.0.0.1 udp dport 8053 dnat to 10.244.1.9:53
      rules.push([
        'hostports',
        owned([...parts, ...only, dport(protocol, hostPort), dnat(ip, containerPort)]),
      ]);
    }
  }
  if (!config.snat || rules.length === 0) return rules;
  if (config.masqAll) {
    // ct status dnat ip daddr 10.244.1.9 masquerade
    return [...rules, ['masquerading', owned([ctStatusDnat(), daddr('==', host(ip)), masquerade()])]];
  }
  const sources = ip.family === 'ipv4' ? [ip, Ip.parse('127.0.0.1')] : [ip];
  for (const source of sources) {
    // ip saddr 127.0.0.1 ip daddr 10.244.1.9 masquerade
    const parts = [saddr('==', host(source)), daddr('==', host(ip)), masquerade()];
    rules.push(['masquerading', owned(parts)]);
  }
  return rules;
}

/** Base chains by name, with what each must hold. */
const nat = (point: 'prerouting' | 'output' | 'postrouting', priority: number) =>
  ({ type: 'nat', point, priority, policy: 'accept' }) as const;

/**
 * Table and chains, when they are not as they must be. `fib daddr type local` stands on both hooks: without it a mapped
 * port would catch traffic that only passes through the node.
 */
export function frameChanges(table: TableKey, live: Table | undefined): Change[] {
  const local = [rule([fibDaddrLocal(), jump('hostports_all')])];
  const both = [rule([jump('hostip_hostports')]), rule([jump('hostports')])];
  const fixed: readonly (readonly [string, readonly Rule[]])[] = [
    ['hostports_all', both],
    ['prerouting', local],
    ['output', local],
  ];
  const chains = new Map(live?.chains.map((chain) => [chain.name, chain.rules]));
  const complete =
    CONTAINER_CHAINS.every((name) => chains.has(name)) &&
    fixed.every(([name, rules]) => sameRules(rules, chains.get(name) ?? []));
  if (complete) return [];
  const add = (name: string, hook?: ReturnType<typeof nat>): Change => ({
    do: 'add chain',
    table,
    chain: { name, hook },
  });
  return [
    { do: 'add table', table, comment: 'CNI portmap plugin' },
    add('hostports'),
    add('hostip_hostports'),
    add('hostports_all'),
    add('prerouting', nat('prerouting', PRIORITY.dstnat)),
    add('output', nat('output', PRIORITY.dstnat)),
    add('masquerading', nat('postrouting', PRIORITY.srcnat)),
    ...fixed.flatMap(([chain, rules]): Change[] => [
      { do: 'flush chain', table, chain },
      ...rules.map((entry): Change => ({ do: 'add rule', table, chain, rule: entry })),
    ]),
  ];
}

function sameRules(a: readonly Rule[], b: readonly Rule[]): boolean {
  return a.length === b.length && a.every((entry, at) => sameRule(entry, b[at] ?? { expressions: [] }));
}

/** What a container's rule says. */
export interface RuleMeaning {
  /** The address that packets are sent to, or whose packets are masqueraded. */
  readonly target: Ip | undefined;
  /** Set for a rule that translates the destination. */
  readonly mapping: LostMapping | undefined;
}

/** Reads a rule of a container chain, by whomever it was written. */
export function meaningOf({ expressions }: Rule): RuleMeaning {
  let protocol: PortProtocol | undefined;
  let hostPort: number | undefined;
  let daddrIs: Ip | undefined;
  const registers = new Map<number, Uint8Array>();
  let target: Ip | undefined;
  expressions.forEach((entry, at) => {
    const load = expressions[at - 1];
    if (entry.kind === 'cmp' && entry.op === '==' && load !== undefined) {
      if (load.kind === 'meta' && load.key === 'l4proto') protocol = PROTOCOLS[entry.value[0] ?? 0];
      if (isDestinationPort(load)) hostPort = readBe16(entry.value);
      if (isDestinationAddress(load)) daddrIs = Ip.fromBytes(entry.value);
    }
    if (entry.kind === 'immediate') registers.set(entry.register, entry.value);
    if (entry.kind === 'nat' && entry.type === 'dnat') {
      const bytes = registers.get(entry.address ?? -1);
      if (bytes?.length === 4 || bytes?.length === 16) target = Ip.fromBytes(bytes);
    }
  });
  if (target === undefined) return { target: daddrIs, mapping: undefined };
  if (protocol === undefined || hostPort === undefined) return { target, mapping: undefined };
  return { target, mapping: { protocol, hostPort, hostIp: daddrIs, target } };
}

function isDestinationPort(load: Expression): boolean {
  return load.kind === 'payload' && load.base === 'transport' && load.offset === 2 && load.length === 2;
}

function isDestinationAddress(load: Expression): boolean {
  if (load.kind !== 'payload' || load.base !== 'network') return false;
  return (load.offset === 16 && load.length === 4) || (load.offset === 24 && load.length === 16);
}
