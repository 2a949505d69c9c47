import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import type { PerFamily } from './lease.ts';

/** The content of `subnet.env`: what the agent tells the CNI plugins of this node. */
export interface SubnetEnv {
  /** The pod network; several when the file holds a comma-separated list. */
  readonly networks: PerFamily<readonly Cidr[]>;
  /** The node's first usable address with the length of its subnet, e.g. 10.244.1.1/24: host bits are set. */
  readonly gateways: PerFamily<Cidr>;
  /** MTU of pods, bytes. */
  readonly mtu: number;
  readonly ipMasq: boolean;
}

const KEYS: Record<Family, { readonly network: string; readonly subnet: string }> = {
  ipv4: { network: 'FLANNEL_NETWORK', subnet: 'FLANNEL_SUBNET' },
  ipv6: { network: 'FLANNEL_IPV6_NETWORK', subnet: 'FLANNEL_IPV6_SUBNET' },
};

/** The first usable address of a node's subnet, as `subnet.env` wants it: 10.244.1.0/24 becomes 10.244.1.1/24. */
export function gatewayOf(subnet: Cidr): Cidr {
  return new Cidr(subnet.first().add(1), subnet.length);
}

/** The file's text: order and names are the contract with the CNI plugins. */
export function renderSubnetEnv(env: SubnetEnv): string {
  const lines: string[] = [];
  for (const family of FAMILIES) {
    const networks = env.networks[family];
    const gateway = env.gateways[family];
    if (networks === undefined || gateway === undefined) continue;
    lines.push(`${KEYS[family].network}=${networks.join(',')}`, `${KEYS[family].subnet}=${gateway}`);
  }
  lines.push(`FLANNEL_MTU=${env.mtu}`, `FLANNEL_IPMASQ=${env.ipMasq}`);
  return `${lines.join('\n')}\n`;
}

/** Parses the text of `subnet.env`. `path` is for messages. Throws ConfigError naming file, key and value. */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  const networks: Partial<Record<Family, readonly Cidr[]>> = {};
  const gateways: Partial<Record<Family, Cidr>> = {};
  for (const family of FAMILIES) {
    const network = values.get(KEYS[family].network);
    const subnet = values.get(KEYS[family].subnet);
    if (network === undefined && subnet === undefined) continue;
    networks[family] = (network ?? '').split(',').map((part) => {
      return cidr(part.trim(), { family, path: `${path}: ${KEYS[family].network}` }).network();
    });
    gateways[family] = cidr(subnet ?? '', { family, path: `${path}: ${KEYS[family].subnet}` });
  }
  if (gateways.ipv4 === undefined && gateways.ipv6 === undefined) {
    throw new ConfigError(path, 'holds neither FLANNEL_SUBNET nor FLANNEL_IPV6_SUBNET');
  }
  return { networks, gateways, mtu: mtu(values, path), ipMasq: bool(values, path) };
}

function cidr(text: string, { family, path }: { family: Family; path: string }): Cidr {
  const value = Cidr.tryParse(text);
  if (value === undefined || value.family !== family) {
    const name = family === 'ipv4' ? 'an IPv4' : 'an IPv6';
    throw new ConfigError(
      path,
      text === '' ? 'is missing' : `${JSON.stringify(text.slice(0, 64))} is not ${name} CIDR`,
    );
  }
  return value;
}

function mtu(values: ReadonlyMap<string, string>, path: string): number {
  const text = values.get('FLANNEL_MTU');
  const value = text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (value < 0 || value > 65_535)
    throw bad(`${path}: FLANNEL_MTU`, text, 'a number of bytes from 0 to 65535');
  return value;
}

/** The spellings that Go's strconv.ParseBool takes. */
function bool(values: ReadonlyMap<string, string>, path: string): boolean {
  const text = values.get('FLANNEL_IPMASQ');
  if (text !== undefined && ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (text !== undefined && ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  throw bad(`${path}: FLANNEL_IPMASQ`, text, 'true or false');
}

function bad(path: string, text: string | undefined, allowed: string): ConfigError {
  const what = text === undefined ? 'is missing' : `${JSON.stringify(text.slice(0, 64))} is not allowed`;
  return new ConfigError(path, `${what}; it must be ${allowed}`);
}
