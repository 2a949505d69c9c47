import type { Family } from '#net/family.ts';
import {
  isEmptyDns,
  type CniDns,
  type CniInterface,
  type CniIp,
  type CniResult,
  type CniRoute,
} from './result.ts';
import { atLeast } from './version.ts';

/**
 * A result as JSON of the given specification version, indented by four blanks, without a trailing newline. Key order is
 * the one of the Go plugins: of their structs up to 0.4.0, alphabetical since 1.0.0.
 */
export function renderResult(result: CniResult, cniVersion: string): string {
  return JSON.stringify(resultObject(result, cniVersion), null, 4);
}

/** The same as an object, e.g. for `prevResult` in another plugin's configuration. */
export function resultObject(result: CniResult, cniVersion: string): Record<string, unknown> {
  if (atLeast(cniVersion, '1.0.0')) return modern(result, cniVersion);
  return atLeast(cniVersion, '0.3.0') ? structured(result, cniVersion) : legacy(result, cniVersion);
}

/** An empty list is left out, as Go's `omitempty` does. */
function list<T>(values: readonly T[]): readonly T[] | undefined {
  return values.length === 0 ? undefined : values;
}

function text(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function modern(result: CniResult, cniVersion: string): Record<string, unknown> {
  const { nameservers, domain, search, options } = result.dns;
  const isNew = atLeast(cniVersion, '1.1.0');
  return {
    cniVersion,
    dns: isEmptyDns(result.dns)
      ? undefined
      : {
          domain: text(domain),
          nameservers: list(nameservers ?? []),
          options: list(options ?? []),
          search: list(search ?? []),
        },
    interfaces: list(result.interfaces.map((entry) => modernInterface(entry, isNew))),
    ips: list(
      result.ips.map((ip) => ({ address: ip.address, gateway: ip.gateway, interface: ip.interface })),
    ),
    routes: list(result.routes.map(modernRoute)),
  };
}

function modernInterface(entry: CniInterface, isNew: boolean): Record<string, unknown> {
  return {
    mac: text(entry.mac),
    mtu: isNew && entry.mtu !== 0 ? entry.mtu : undefined,
    name: entry.name,
    pciID: isNew ? text(entry.pciId) : undefined,
    sandbox: text(entry.sandbox),
    socketPath: isNew ? text(entry.socketPath) : undefined,
  };
}

function modernRoute(route: CniRoute): Record<string, unknown> {
  return {
    advmss: route.advmss,
    dst: route.dst,
    gw: route.gw,
    mtu: route.mtu,
    priority: route.priority,
    scope: route.scope,
    table: route.table,
  };
}

/** 0.3.0 to 0.4.0. */
function structured(result: CniResult, cniVersion: string): Record<string, unknown> {
  return {
    cniVersion,
    interfaces: list(
      result.interfaces.map((entry) => ({
        name: entry.name,
        mac: text(entry.mac),
        sandbox: text(entry.sandbox),
      })),
    ),
    ips: list(
      result.ips.map((ip) => ({
        version: ip.address.family === 'ipv4' ? '4' : '6',
        interface: ip.interface,
        address: ip.address,
        gateway: ip.gateway,
      })),
    ),
    routes: list(result.routes.map(structuredRoute)),
    dns: dnsObject(result.dns),
  };
}

/** With everything, as the Go plugins do: main plugins take what a route says from the result of their address manager. */
function structuredRoute(route: CniRoute): Record<string, unknown> {
  const { dst, gw, mtu, advmss, priority, table, scope } = route;
  return { dst, gw, mtu, advmss, priority, table, scope };
}

/** 0.1.0 and 0.2.0: at most one address per family, no interfaces. */
function legacy(result: CniResult, cniVersion: string): Record<string, unknown> {
  return {
    cniVersion,
    ip4: legacyFamily(result, 'ipv4'),
    ip6: legacyFamily(result, 'ipv6'),
    dns: dnsObject(result.dns),
  };
}

function legacyFamily(result: CniResult, family: Family): Record<string, unknown> | undefined {
  const ip: CniIp | undefined = result.ips.find((entry) => entry.address.family === family);
  if (ip === undefined) return undefined;
  const routes = result.routes.filter((route) => route.dst.family === family);
  return {
    ip: ip.address,
    gateway: ip.gateway,
    routes: list(routes.map(({ dst, gw }) => ({ dst, gw }))),
  };
}

function dnsObject(dns: CniDns): Record<string, unknown> {
  return {
    nameservers: list(dns.nameservers ?? []),
    domain: text(dns.domain),
    search: list(dns.search ?? []),
    options: list(dns.options ?? []),
  };
}
