import { ConfigError, describe } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import {
  booleanField,
  type Fields,
  foldKeys,
  isObject,
  show,
  stringField,
  unknownKeys,
  wrong,
} from './fields.ts';
import { parseLayout, type SubnetLayout } from './layout.ts';
import type { PerFamily } from './lease.ts';
import { nearest } from './nearest.ts';

/** The `Backend` object, not interpreted yet: see `readBackendOptions`. */
export interface BackendConfig {
  /** One of `BACKEND_TYPES`. */
  readonly type: string;
  /** Every key but `Type`, lower-cased, with its raw JSON value. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The keys of `options` as the operator spelled them, for messages. */
  readonly spelling: readonly string[];
  /** Prefix of messages, e.g. `net-conf.json: Backend.`. */
  readonly path: string;
}

/** The network configuration: `net-conf.json` or the etcd key `<prefix>/config`. Immutable. */
export interface NetworkConfig {
  /** The enabled families in the project's order; never empty. */
  readonly families: readonly Family[];
  /** The whole pod network of each enabled family; host bits zero. */
  readonly networks: PerFamily<Cidr>;
  readonly enableNftables: boolean;
  /** For the etcd manager only; missing where the Kubernetes manager met keys that make no sense. */
  readonly layouts: PerFamily<SubnetLayout>;
  readonly backend: BackendConfig;
  /** Where the text came from, for messages. */
  readonly source: string;
}

export interface ParsedNetworkConfig {
  readonly config: NetworkConfig;
  /** Sentences for the log, each naming file and key. */
  readonly warnings: readonly string[];
}

export interface ParseConfigOptions {
  /** File name or etcd key that messages name. */
  readonly source: string;
  /**
   * Who hands out subnets. `etcd` needs a sound SubnetLen, SubnetMin and SubnetMax; with `kube` (the default) these keys
   * have no effect, as in the original, and a bad one is only a warning.
   */
  readonly manager?: 'kube' | 'etcd';
}

export const BACKEND_TYPES: readonly string[] = [
  'vxlan',
  'host-gw',
  'wireguard',
  'ipip',
  'udp',
  'ipsec',
  'extension',
  'alloc',
  'tencent-vpc',
];

/** A key of the configuration, for the generated reference: what is taken when it is missing, and what it means, in Markdown. */
interface KeyDoc {
  readonly fallback: string;
  readonly help: string;
}

const ETCD_ONLY = 'with Kubernetes no effect, because it hands out the subnets: a bad value is a warning';

export const NETWORK_KEYS: Readonly<Record<string, KeyDoc>> = {
  Network: {
    fallback: 'required with IPv4',
    help: "the whole pod network, e.g. `10.244.0.0/16`; the controller-manager's `--cluster-cidr`",
  },
  IPv6Network: { fallback: 'required with IPv6', help: 'the same for IPv6, e.g. `2001:db8:42::/56`' },
  EnableIPv4: { fallback: '`true`', help: 'pods have IPv4 addresses' },
  EnableIPv6: { fallback: '`false`', help: 'pods have IPv6 addresses' },
  EnableNFTables: { fallback: '`false`', help: 'traffic rules in nftables instead of iptables' },
  SubnetLen: {
    fallback: '24, or two more than `Network`',
    help: `etcd: prefix length of a node's subnet; ${ETCD_ONLY}`,
  },
  SubnetMin: { fallback: 'the second of `Network`', help: 'etcd: the first subnet that may be taken' },
  SubnetMax: { fallback: 'the last of `Network`', help: 'etcd: the last one' },
  IPv6SubnetLen: { fallback: '64, or two more than `IPv6Network`', help: 'as `SubnetLen`' },
  IPv6SubnetMin: { fallback: 'the second of `IPv6Network`', help: 'as `SubnetMin`' },
  IPv6SubnetMax: { fallback: 'the last of `IPv6Network`', help: 'as `SubnetMax`' },
  Backend: {
    fallback: '`{"Type": "vxlan"}`',
    help: 'how packets get to other nodes: `Type` and the keys of that type, below',
  },
};

const MAX_TEXT = 1 << 20;

/** Parses the configuration text. Throws ConfigError naming source, key, value and what is allowed. */
export function parseNetworkConfig(text: string, options: ParseConfigOptions): ParsedNetworkConfig {
  const warnings: string[] = [];
  const path = `${options.source}: `;
  const object = parseObject(text, options.source);
  warnings.push(...unknownKeys(Object.keys(object), Object.keys(NETWORK_KEYS), path));
  const fields = foldKeys(object, path, warnings);
  const enabled = {
    ipv4: booleanField(fields, 'EnableIPv4', true),
    ipv6: booleanField(fields, 'EnableIPv6', false),
  };
  const families = FAMILIES.filter((family) => enabled[family]);
  if (families.length === 0) {
    throw new ConfigError(
      `${path}EnableIPv4`,
      'both EnableIPv4 and EnableIPv6 are false; enable at least one family',
    );
  }
  const networks: Partial<Record<Family, Cidr>> = {};
  for (const family of FAMILIES) {
    const network = parseNetwork(fields, { family, enabled: enabled[family], warnings });
    if (network !== undefined && enabled[family]) networks[family] = network;
  }
  const layouts = parseLayouts(fields, { networks, strict: options.manager === 'etcd', warnings });
  const config: NetworkConfig = {
    families: Object.freeze(families),
    networks: Object.freeze(networks),
    enableNftables: booleanField(fields, 'EnableNFTables', false),
    layouts,
    backend: parseBackend(fields, warnings),
    source: options.source,
  };
  return { config: Object.freeze(config), warnings };
}

function parseObject(text: string, source: string): Record<string, unknown> {
  if (text.length > MAX_TEXT) throw new ConfigError(source, `longer than ${MAX_TEXT} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    const cure = 'check quotes, commas and braces';
    // The engine names the word that it stumbles over: that could be a key without its quotes.
    const why = describe(error).replace(/(identifier) ".*"$/s, '$1');
    throw new ConfigError(source, `not valid JSON: ${why}`, { cure });
  }
  if (!isObject(value)) throw new ConfigError(source, `must be a JSON object, not ${show(value)}`);
  return value;
}

interface NetworkContext {
  readonly family: Family;
  readonly enabled: boolean;
  readonly warnings: string[];
}

function parseNetwork(fields: Fields, { family, enabled, warnings }: NetworkContext): Cidr | undefined {
  const key = family === 'ipv4' ? 'Network' : 'IPv6Network';
  const example = family === 'ipv4' ? '10.244.0.0/16' : '2001:db8:42::/56';
  const allowed = `an ${family === 'ipv4' ? 'IPv4' : 'IPv6'} network such as ${example}`;
  const text = stringField(fields, key, 64);
  if (text === undefined || text === '') {
    if (enabled) throw wrong(fields, key, allowed);
    return undefined;
  }
  const cidr = Cidr.tryParse(text);
  if (cidr === undefined || cidr.family !== family) throw wrong(fields, key, allowed);
  if (!enabled) {
    warnings.push(
      `${fields.path}${key}: no effect while Enable${family === 'ipv4' ? 'IPv4' : 'IPv6'} is false`,
    );
  }
  if (!cidr.isNetwork())
    warnings.push(`${fields.path}${key}: ${cidr} has host bits set; ${cidr.network()} is used`);
  return cidr.network();
}

interface LayoutContext {
  readonly networks: PerFamily<Cidr>;
  readonly strict: boolean;
  readonly warnings: string[];
}

function parseLayouts(
  fields: Fields,
  { networks, strict, warnings }: LayoutContext,
): PerFamily<SubnetLayout> {
  const layouts: Partial<Record<Family, SubnetLayout>> = {};
  for (const family of FAMILIES) {
    const network = networks[family];
    if (network === undefined) continue;
    try {
      layouts[family] = Object.freeze(parseLayout(fields, network));
    } catch (error) {
      if (strict || !(error instanceof ConfigError)) throw error;
      warnings.push(`${error.message} (without effect here: Kubernetes hands out the subnets)`);
    }
  }
  return Object.freeze(layouts);
}

function parseBackend(fields: Fields, warnings: string[]): BackendConfig {
  const path = `${fields.path}Backend.`;
  const value = fields.values.get('backend') ?? {};
  if (!isObject(value)) throw wrong(fields, 'Backend', 'an object such as {"Type": "vxlan"}');
  const backend = foldKeys(value, path, warnings);
  const type = stringField(backend, 'Type', 64);
  if (type === undefined && fields.values.has('backend'))
    warnings.push(`${path}Type: missing; vxlan is used`);
  if (type !== undefined && !BACKEND_TYPES.includes(type)) {
    const near = nearest(type, BACKEND_TYPES);
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
    throw wrong(backend, 'Type', `one of ${BACKEND_TYPES.join(', ')}${hint}`);
  }
  const rest = [...backend.values].filter(([key]) => key !== 'type');
  return Object.freeze({
    type: type ?? 'vxlan',
    options: Object.freeze(Object.fromEntries(rest)),
    spelling: Object.freeze(Object.keys(value).filter((key) => key.toLowerCase() !== 'type')),
    path,
  });
}
