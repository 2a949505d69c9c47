import type { Cidr } from '#net/cidr.ts';
import type { Family } from '#net/family.ts';
import { iptablesConditions, quoted } from './conditions.ts';
import { onlyHostIp, type PortmapConfig, type PortMapping, type PortProtocol } from './config.ts';
import { mappingsFor, type Forwarding, type Owner } from './forwarding.ts';
import { containerChain } from './names.ts';

/** The chains of the Go plugin's iptables backend, all in table nat: what one adds the other removes. */
export const DNAT_CHAIN = 'CNI-HOSTPORT-DNAT';
export const SET_MARK_CHAIN = 'CNI-HOSTPORT-SETMARK';
export const MASQ_CHAIN = 'CNI-HOSTPORT-MASQ';

/** XT_MULTI_PORTS */
const PORTS_PER_RULE = 15;
/** XT_MAX_COMMENT_LEN with its NUL is 256. */
const COMMENT_LIMIT = 255;

/** A rule that leads from the common chain to the container's, for up to 15 ports of one protocol. */
export interface EntryRule {
  readonly protocol: PortProtocol;
  readonly ports: readonly number[];
  /** As `iptables-save` prints it behind `-A CNI-HOSTPORT-DNAT `, but for conditions, whose order it may change. */
  readonly line: string;
}

/** The rules that lead to the container's chain for some of its mappings, by protocol in alphabetical order. */
export function entryRules(
  forwarding: Forwarding,
  family: Family,
  mappings: readonly PortMapping[] = forwarding.config.mappings,
): readonly EntryRule[] {
  const conditions = iptablesConditions(forwarding.config.conditions[family], family);
  const chain = containerChain(forwarding);
  const comment = entryComment(forwarding);
  return (['sctp', 'tcp', 'udp'] as const).flatMap((protocol) => {
    const ports = mappings.filter((mapping) => mapping.protocol === protocol).map(({ hostPort }) => hostPort);
    return chunks([...new Set(ports)]).map((some): EntryRule => {
      const list = some.join(',');
      const ours = [
        '-p',
        protocol,
        '-m',
        'comment',
        '--comment',
        comment,
        '-m',
        'multiport',
        '--dports',
        list,
      ];
      const words = [...ours, ...conditions, '-j', chain];
      // The comment always in quotes: iptables-save prints it so, since it has blanks.
      return { protocol, ports: some, line: words.map(quoted).join(' ') };
    });
  });
}

function chunks(ports: readonly number[]): readonly (readonly number[])[] {
  const count = Math.ceil(ports.length / PORTS_PER_RULE);
  return Array.from({ length: count }, (_, at) =>
    ports.slice(at * PORTS_PER_RULE, (at + 1) * PORTS_PER_RULE),
  );
}

function entryComment({ network, containerId }: Owner): string {
  const text = `dnat name: "${network}" id: "${containerId}"`;
  return text.length <= COMMENT_LIMIT ? text : `${text.slice(0, COMMENT_LIMIT - 3)}...`;
}

/** Network and container that an entry rule of the common chain names in its comment. */
export function entryOwner(line: string): Owner | undefined {
  const [, network, containerId] =
    /--comment "dnat name: \\"([^"\\]*)\\" id: \\"([^"\\]*)\\""/.exec(line) ?? [];
  return network === undefined || containerId === undefined ? undefined : { network, containerId };
}

/** The rules of the container's chain for one address of the pod, as `iptables-save` prints them. */
export function chainRules({ config }: Forwarding, address: Cidr): readonly string[] {
  const { ip, family } = address;
  return mappingsFor(config, family).flatMap((mapping) => {
    const to = family === 'ipv4' ? `${ip}` : `[${ip}]`;
    return [
      ...markSources(config, address).map(
        (source) => `${matches(mapping, source)} -j ${config.externalSetMarkChain ?? SET_MARK_CHAIN}`,
      ),
      `${matches(mapping)} -j DNAT --to-destination ${to}:${mapping.containerPort}`,
    ];
  });
}

/** Whose packets are masqueraded, marked before the translation; undefined: everybody's. */
function markSources({ snat, masqAll }: PortmapConfig, address: Cidr): readonly (string | undefined)[] {
  if (!snat) return [];
  if (masqAll) return [undefined];
  const subnet = address.network().toString();
  return address.family === 'ipv4' ? [subnet, '127.0.0.1/32'] : [subnet];
}

function matches(mapping: PortMapping, source?: string): string {
  const { protocol, hostPort } = mapping;
  const from = source === undefined || source.endsWith('/0') ? '' : `-s ${source} `;
  const hostIp = onlyHostIp(mapping);
  const to = hostIp === undefined ? '' : `-d ${hostIp}/${hostIp.bits} `;
  return `${from}${to}-p ${protocol} -m ${protocol} --dport ${hostPort}`;
}

/** One of our common chains: where it is jumped to from, and what it holds. */
export interface CommonChain {
  readonly name: string;
  readonly jumps: readonly { readonly from: string; readonly line: string; readonly first: boolean }[];
  readonly rules: readonly string[];
}

/** The chains that all containers share. */
export function commonChains({
  snat,
  externalSetMarkChain,
  markMasqBit,
}: PortmapConfig): readonly CommonChain[] {
  const local = `-m addrtype --dst-type LOCAL -j ${DNAT_CHAIN}`;
  const dnat: CommonChain = {
    name: DNAT_CHAIN,
    jumps: ['PREROUTING', 'OUTPUT'].map((from) => ({ from, line: local, first: false })),
    rules: [],
  };
  if (!snat || externalSetMarkChain !== undefined) return [dnat];
  const bit = `0x${(2 ** markMasqBit).toString(16)}`;
  const masq = `-m comment --comment "CNI portfwd requiring masquerade" -j ${MASQ_CHAIN}`;
  return [
    dnat,
    {
      name: SET_MARK_CHAIN,
      jumps: [],
      rules: [`-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${bit}/${bit}`],
    },
    {
      name: MASQ_CHAIN,
      // In front of other plugins' masquerading, which would come to a decision without us.
      jumps: [{ from: 'POSTROUTING', line: masq, first: true }],
      rules: [`-m mark --mark ${bit}/${bit} -j MASQUERADE`],
    },
  ];
}
