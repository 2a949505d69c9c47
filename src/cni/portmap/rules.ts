import { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { Ip } from '#net/ip.ts';
import { daddr, dnat, dport, fibDaddrLocal, jump, masquerade, rule, saddr } from '#nftables/build.ts';
import type { Change } from '#nftables/change.ts';
import { PRIORITY, type Rule, type Table, type TableKey } from '#nftables/objects.ts';
import type { PortmapConfig } from './config.ts';

/** The chains that hold containers' rules; each rule's comment is its container's ID. */
const CONTAINER_CHAINS = ['hostports', 'hostip_hostports', 'masquerading'];

/** The table of the Go plugin's nftables backend: what one adds the other removes. */
export function tableOf(family: Family): TableKey {
  return { family: family === 'ipv4' ? 'ip' : 'ip6', name: 'cni_hostport' };
}

function host(ip: Ip): Cidr {
  return new Cidr(ip, ip.bits);
}

/** The container's rules by chain, for its address `ip`. Mappings to a host address of the other family are left out. */
export function containerRules(
  config: PortmapConfig,
  ip: Ip,
  containerId: string,
): [chain: string, rule: Rule][] {
  const rules: [string, Rule][] = [];
  for (const { protocol, hostPort, containerPort, hostIp } of config.mappings) {
    if (hostIp !== undefined && hostIp.family !== ip.family) continue;
    const only = hostIp === undefined || hostIp.isUnspecified() ? [] : [daddr('==', host(hostIp))];
    // ip daddr 127.0.0.1 udp dport 8053 dnat to 10.244.1.9:53
    const parts = [...only, dport(protocol, hostPort), dnat(ip, containerPort)];
    rules.push(['hostports', rule(parts, containerId)]);
  }
  if (!config.snat || rules.length === 0) return rules;
  const sources = ip.family === 'ipv4' ? [ip, Ip.parse('127.0.0.1')] : [ip];
  for (const source of sources) {
    // ip saddr 127.0.0.1 ip daddr 10.244.1.9 masquerade
    const parts = [saddr('==', host(source)), daddr('==', host(ip)), masquerade()];
    rules.push(['masquerading', rule(parts, containerId)]);
  }
  return rules;
}

/**
 * Table and chains, when they are not there yet. `fib daddr type local` stands on both hooks: without it a mapped port
 * would catch traffic that only passes through the node.
 */
export function frameChanges(table: TableKey, live: Table | undefined): Change[] {
  const chains = new Set(live?.chains.map(({ name }) => name));
  const complete = [...CONTAINER_CHAINS, 'hostports_all', 'prerouting', 'output'].every((name) =>
    chains.has(name),
  );
  if (complete) return [];
  const nat = (point: 'prerouting' | 'output' | 'postrouting', priority: number) =>
    ({ type: 'nat', point, priority, policy: 'accept' }) as const;
  const local = rule([fibDaddrLocal(), jump('hostports_all')]);
  const add = (name: string, hook?: ReturnType<typeof nat>): Change => ({
    do: 'add chain',
    table,
    chain: { name, hook },
  });
  const fill = (chain: string, rules: readonly Rule[]): Change[] => [
    { do: 'flush chain', table, chain },
    ...rules.map((entry): Change => ({ do: 'add rule', table, chain, rule: entry })),
  ];
  return [
    { do: 'add table', table, comment: 'CNI portmap plugin' },
    add('hostports'),
    add('hostip_hostports'),
    add('hostports_all'),
    add('prerouting', nat('prerouting', PRIORITY.dstnat)),
    add('output', nat('output', PRIORITY.dstnat)),
    add('masquerading', nat('postrouting', PRIORITY.srcnat)),
    ...fill('hostports_all', [rule([jump('hostip_hostports')]), rule([jump('hostports')])]),
    ...fill('prerouting', [local]),
    ...fill('output', [local]),
  ];
}

/** Deletes everything of one container. */
export function removalChanges(live: Table | undefined, containerId: string): Change[] {
  if (live === undefined) return [];
  return live.chains
    .filter(({ name }) => CONTAINER_CHAINS.includes(name))
    .flatMap(({ name, rules }) =>
      rules.flatMap(({ comment, handle }): Change[] =>
        comment === containerId && handle !== undefined
          ? [{ do: 'delete rule', table: live, chain: name, handle }]
          : [],
      ),
    );
}
