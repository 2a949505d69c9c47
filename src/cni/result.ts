import type { Cidr } from '#net/cidr.ts';
import type { Ip } from '#net/ip.ts';

/** An interface that a plugin made or found (specification section "ADD Success"). */
export interface CniInterface {
  readonly name: string;
  readonly mac?: string | undefined;
  /** Bytes; reported since 1.1.0. */
  readonly mtu?: number | undefined;
  /** Namespace path for an interface inside the container. */
  readonly sandbox?: string | undefined;
  readonly socketPath?: string | undefined;
  readonly pciId?: string | undefined;
}

export interface CniIp {
  /** Address with the length of its subnet; host bits set. */
  readonly address: Cidr;
  readonly gateway?: Ip | undefined;
  /** Index into `interfaces`. */
  readonly interface?: number | undefined;
}

export interface CniRoute {
  readonly dst: Cidr;
  readonly gw?: Ip | undefined;
  /** The rest since 1.1.0 by the specification; the Go plugins write it since 0.3.0. */
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
}

export interface CniDns {
  readonly nameservers?: readonly string[] | undefined;
  readonly domain?: string | undefined;
  readonly search?: readonly string[] | undefined;
  readonly options?: readonly string[] | undefined;
}

/** A result, independent of the version in which it is read or written. */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns;
}

export const EMPTY_RESULT: CniResult = { interfaces: [], ips: [], routes: [], dns: {} };

/** True when nothing is set. */
export function isEmptyDns(dns: CniDns): boolean {
  const { nameservers = [], domain = '', search = [], options = [] } = dns;
  return nameservers.length + search.length + options.length === 0 && domain === '';
}
