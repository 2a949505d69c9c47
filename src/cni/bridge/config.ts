import { Mac } from '#net/mac.ts';
import { isInterfaceName, type CniArgs } from '../environment.ts';
import { invalidConfig, unsupported } from '../error.ts';
import { boolField, field, intField, objectField, show, stringField, type JsonObject } from '../json.ts';
import type { NetConf } from '../plugin.ts';
import { readDns } from '../result-parse.ts';
import type { CniDns } from '../result.ts';
import { parseVlans, vlanInterfaceName, type VlanConfig } from './vlan-config.ts';

export type MasqueradeBackend = 'iptables' | 'nftables';

/** The checked configuration of `bridge`. */
export interface BridgeConfig {
  readonly bridge: string;
  /** The bridge carries the gateway address of each pod address. */
  readonly isGateway: boolean;
  /** And each pod gets a default route to it. */
  readonly isDefaultGateway: boolean;
  readonly forceAddress: boolean;
  readonly ipMasq: boolean;
  /** Undefined: iptables where it works, else nftables. */
  readonly ipMasqBackend: MasqueradeBackend | undefined;
  /** Bytes; undefined: the kernel's default. */
  readonly mtu: number | undefined;
  readonly hairpin: boolean;
  readonly promiscuous: boolean;
  /** Keep duplicate address detection, and wait for it. */
  readonly dad: boolean;
  /** Leave the container's end down, without addresses. */
  readonly containerDown: boolean;
  readonly isolated: boolean;
  /** Drop what the pod sends with another source MAC address than its own. */
  readonly spoofCheck: boolean;
  readonly vlans: VlanConfig | undefined;
  /** Of the container's end; undefined: random. */
  readonly mac: Mac | undefined;
  /** Undefined: no addresses, layer 2 only. */
  readonly ipamType: string | undefined;
  readonly dns: CniDns;
}

/** What DEL needs: it must work with a configuration that ADD would refuse. */
export interface BridgeIdentity {
  readonly bridge: string;
  readonly ipamType: string | undefined;
  readonly ipMasq: boolean;
  readonly spoofCheck: boolean;
  /** The VLAN whose gateway is an interface of its own. */
  readonly vlan: number | undefined;
}

export function parseIdentity(conf: NetConf): BridgeIdentity {
  const bridge = stringField(conf.raw, 'bridge') || 'cni0';
  if (!isInterfaceName(bridge)) throw invalidConfig(`bridge: ${show(bridge)} is not an interface name`);
  const ipam = objectField(conf.raw, 'ipam');
  const vlan = field(conf.raw, 'vlan');
  return {
    bridge,
    ipamType: ipam === undefined ? undefined : stringField(ipam, 'type') || undefined,
    ipMasq: boolField(conf.raw, 'ipMasq', false),
    spoofCheck: boolField(conf.raw, 'macspoofchk', false),
    vlan: typeof vlan === 'number' && vlan > 0 ? vlan : undefined,
  };
}

/** Throws CniError 7 for a bad value and 2 for one that this program has no means for. */
export function parseBridge(conf: NetConf, args: CniArgs): BridgeConfig {
  const { raw } = conf;
  const isDefaultGateway = boolField(raw, 'isDefaultGateway', false);
  const config: BridgeConfig = {
    ...parseIdentity(conf),
    isDefaultGateway,
    isGateway: isDefaultGateway || boolField(raw, 'isGateway', false),
    forceAddress: boolField(raw, 'forceAddress', false),
    ipMasqBackend: masqueradeBackend(raw),
    mtu: intField(raw, 'mtu', { min: 0, max: 65_535 }) || undefined,
    hairpin: boolField(raw, 'hairpinMode', false),
    promiscuous: boolField(raw, 'promiscMode', false),
    dad: boolField(raw, 'enabledad', false),
    containerDown: boolField(raw, 'disableContainerInterface', false),
    isolated: boolField(raw, 'portIsolation', false),
    vlans: parseVlans(raw),
    mac: requestedMac(raw, args),
    dns: readDns(objectField(raw, 'dns')),
  };
  if (config.hairpin && config.promiscuous) {
    throw invalidConfig(
      'cannot set hairpin mode and promiscuous mode at the same time',
      'remove one of the two',
    );
  }
  const access = config.vlans?.access;
  if (config.isGateway && access !== undefined) vlanInterfaceName(config.bridge, access);
  if (config.containerDown && config.ipamType !== undefined) {
    throw invalidConfig('cannot use IPAM when disableContainerInterface is set', 'remove one of the two');
  }
  return config;
}

function masqueradeBackend(raw: JsonObject): MasqueradeBackend | undefined {
  const backend = stringField(raw, 'ipMasqBackend') || undefined;
  if (backend === undefined || backend === 'iptables' || backend === 'nftables') return backend;
  throw unsupported('ipMasqBackend', backend, 'use "iptables" or "nftables"');
}

/** `runtimeConfig.mac`, else `args.cni.mac`, else `MAC` in CNI_ARGS. */
function requestedMac(raw: JsonObject, args: CniArgs): Mac | undefined {
  const cniArgs = objectField(objectField(raw, 'args') ?? {}, 'cni') ?? {};
  const runtime = objectField(raw, 'runtimeConfig') ?? {};
  const text = stringField(runtime, 'mac') || stringField(cniArgs, 'mac') || args.extra.get('MAC');
  if (text === undefined || text === '') return undefined;
  const mac = Mac.tryParse(text);
  if (mac === undefined || mac.isMulticast() || mac.isZero()) {
    throw invalidConfig(`mac: ${show(text)} is not the MAC address of an interface`);
  }
  return mac;
}
