import { Ip } from '#net/ip.ts';
import { invalidConfig, unsupported } from '../error.ts';
import {
  boolField,
  field,
  intField,
  objectField,
  objectsField,
  show,
  stringField,
  stringsField,
  type JsonObject,
} from '../json.ts';
import type { NetConf } from '../plugin.ts';

export type PortProtocol = 'tcp' | 'udp' | 'sctp';
export type PortmapBackend = 'iptables' | 'nftables';

/** One port of the node that leads to a port of the pod. */
export interface PortMapping {
  readonly protocol: PortProtocol;
  readonly hostPort: number;
  readonly containerPort: number;
  /** Only for packets to this address of the node; undefined: to any. */
  readonly hostIp: Ip | undefined;
}

export interface PortmapConfig {
  readonly mappings: readonly PortMapping[];
  /** Undefined: iptables where it works, as in the original. */
  readonly backend: PortmapBackend | undefined;
  /** Masquerade what the pod sends to itself through the node, and what the node's loopback address sends. */
  readonly snat: boolean;
  /** With `snat`: masquerade whatever comes through a mapped port. */
  readonly masqAll: boolean;
  /** Bit of the packet mark, 0 to 31, that asks for masquerading (iptables alone). */
  readonly markMasqBit: number;
  /** Somebody else's chain that marks packets for masquerading, instead of ours (iptables alone). */
  readonly externalSetMarkChain: string | undefined;
  /** Matches that a packet must meet besides, in the words of the backend. */
  readonly conditions: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
}

/** Kubernetes uses 14 and 15. */
const DEFAULT_MARK_BIT = 13;

/** Throws CniError 7 for a bad value and 2 for a backend that does not exist. */
export function parsePortmap({ raw }: NetConf): PortmapConfig {
  const runtime = objectField(raw, 'runtimeConfig') ?? {};
  const mappings = (objectsField(runtime, 'portMappings') ?? []).map(parseMapping);
  const externalSetMarkChain = parseChain(raw);
  const bit = intField(raw, 'markMasqBit', { min: 0, max: 31 });
  if (bit !== undefined && externalSetMarkChain !== undefined)
    throw invalidConfig('externalSetMarkChain and markMasqBit exclude each other', 'remove one of them');
  const conditions = {
    ipv4: stringsField(raw, 'conditionsV4') ?? [],
    ipv6: stringsField(raw, 'conditionsV6') ?? [],
  };
  return {
    mappings: specificFirst(mappings),
    backend: chooseBackend(raw, { conditions, externalSetMarkChain }),
    snat: boolField(raw, 'snat', true),
    masqAll: boolField(raw, 'masqAll', false),
    markMasqBit: bit ?? DEFAULT_MARK_BIT,
    externalSetMarkChain,
    conditions,
  };
}

function parseMapping(object: JsonObject): PortMapping {
  const port = (key: string): number => {
    const value = intField(object, key, { min: 1, max: 65_535 });
    if (value === undefined) throw invalidConfig(`portMappings: ${key} is missing in ${show(object)}`);
    return value;
  };
  return {
    protocol: parseProtocol(stringField(object, 'protocol') || 'tcp'),
    hostPort: port('hostPort'),
    containerPort: port('containerPort'),
    hostIp: parseHostIp(stringField(object, 'hostIP')),
  };
}

function parseProtocol(text: string): PortProtocol {
  const known = (['tcp', 'udp', 'sctp'] as const).find((name) => name === text.toLowerCase());
  if (known === undefined)
    throw invalidConfig(`portMappings: protocol ${show(text)} is not tcp, udp or sctp`);
  return known;
}

function parseHostIp(text: string | undefined): Ip | undefined {
  if (text === undefined || text === '') return undefined;
  const ip = Ip.tryParse(text);
  if (ip === undefined) throw invalidConfig(`portMappings: hostIP ${show(text)} is not an IP address`);
  return ip;
}

/** The one address of the node that the mapping is for; the unspecified one stands for all of its family. */
export function onlyHostIp({ hostIp }: PortMapping): Ip | undefined {
  return hostIp?.isUnspecified() === true ? undefined : hostIp;
}

/** The first rule that agrees counts: of mappings of one port, that for one address must stand before that for all. */
function specificFirst(mappings: readonly PortMapping[]): readonly PortMapping[] {
  const ports = new Map<string, PortMapping[]>();
  for (const mapping of mappings) {
    const key = `${mapping.protocol} ${mapping.hostPort}`;
    const same = ports.get(key);
    if (same === undefined) ports.set(key, [mapping]);
    else same.push(mapping);
  }
  return [...ports.values()].flatMap((same) => [
    ...same.filter((mapping) => onlyHostIp(mapping) !== undefined),
    ...same.filter((mapping) => onlyHostIp(mapping) === undefined),
  ]);
}

function parseChain(raw: JsonObject): string | undefined {
  const chain = stringField(raw, 'externalSetMarkChain');
  if (chain === undefined) return undefined;
  // XT_EXTENSION_MAXNAMELEN is 29 with the NUL; a name is a bare word of iptables-restore.
  if (/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,27}$/.test(chain)) return chain;
  throw invalidConfig(`externalSetMarkChain: ${show(chain)} is not the name of a chain`);
}

/** What only one of the backends understands also chooses it. */
function chooseBackend(
  raw: JsonObject,
  given: Pick<PortmapConfig, 'conditions' | 'externalSetMarkChain'>,
): PortmapBackend | undefined {
  const bound: (readonly [key: string, backend: PortmapBackend])[] = [];
  if (given.externalSetMarkChain !== undefined) bound.push(['externalSetMarkChain', 'iptables']);
  for (const [key, list] of [
    ['conditionsV4', given.conditions.ipv4],
    ['conditionsV6', given.conditions.ipv6],
  ] as const) {
    const [first = ''] = list;
    // Every match of iptables begins with an option or `!`, none of nft's does.
    if (first !== '') bound.push([key, /^[-!]/.test(first) ? 'iptables' : 'nftables']);
  }
  const wanted = stringField(raw, 'backend') || undefined;
  const known = (['iptables', 'nftables'] as const).find((name) => name === wanted);
  if (wanted !== undefined && known === undefined)
    throw unsupported('backend', field(raw, 'backend'), 'write iptables or nftables');
  const backend = known ?? bound[0]?.[1];
  const wrong = bound.find((entry) => entry[1] !== backend);
  if (wrong === undefined) return backend;
  throw invalidConfig(
    `${wrong[0]} is written for ${wrong[1]}, but the backend is ${backend}`,
    'write conditions in the words of the backend; externalSetMarkChain belongs to iptables',
  );
}
