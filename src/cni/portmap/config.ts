import { Ip } from '#net/ip.ts';
import { invalidConfig, unsupported } from '../error.ts';
import { boolField, field, intField, objectField, objectsField, show, stringField } from '../json.ts';
import type { NetConf } from '../plugin.ts';

export type PortProtocol = 'tcp' | 'udp' | 'sctp';

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
  /** Masquerade what the pod sends to itself through the node, and what the node's loopback address sends. */
  readonly snat: boolean;
}

/** Throws CniError 7 for a bad value and 2 for keys of the iptables backend. */
export function parsePortmap(conf: NetConf): PortmapConfig {
  const { raw } = conf;
  const runtime = objectField(raw, 'runtimeConfig') ?? {};
  const mappings = (objectsField(runtime, 'portMappings') ?? []).map((object): PortMapping => {
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
  });
  if (mappings.length > 0) refuseUnsupported(conf);
  return { mappings, snat: boolField(raw, 'snat', true) };
}

function refuseUnsupported({ raw }: NetConf): void {
  const why = 'this portmap plugin works by nftables; remove the key';
  const backend = stringField(raw, 'backend');
  if (backend !== undefined && backend !== '' && backend !== 'nftables') {
    throw unsupported('backend', backend, why);
  }
  if (boolField(raw, 'masqAll', false)) throw unsupported('masqAll', true, why);
  // A bit of the packet mark is how rules of iptables tell each other what to masquerade; here no mark is set.
  const bit = field(raw, 'markMasqBit');
  if (bit !== undefined) throw unsupported('markMasqBit', bit, why);
  for (const key of ['conditionsV4', 'conditionsV6', 'externalSetMarkChain']) {
    const value = field(raw, key);
    if (value !== undefined && !(Array.isArray(value) && value.length === 0))
      throw unsupported(key, value, why);
  }
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
