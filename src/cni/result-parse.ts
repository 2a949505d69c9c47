import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { CniError, CODE } from './error.ts';
import {
  intField,
  objectField,
  objectsField,
  show,
  stringField,
  stringsField,
  type JsonObject,
} from './json.ts';
import type { CniDns, CniInterface, CniIp, CniResult, CniRoute } from './result.ts';
import { atLeast, SUPPORTED_VERSIONS } from './version.ts';

/**
 * Reads a result of any supported version: `prevResult`, or what another plugin printed. The version stands in the
 * object, else `fallback` counts. Throws CniError 6 or 7 with the place of the fault.
 */
export function parseResult(object: JsonObject, fallback: string): CniResult {
  const version = stringField(object, 'cniVersion') || fallback;
  if (!SUPPORTED_VERSIONS.includes(version)) {
    throw new CniError(CODE.INCOMPATIBLE_VERSION, `a result of cniVersion ${show(version)} cannot be read`);
  }
  return atLeast(version, '0.3.0') ? structured(object) : legacy(object);
}

function structured(object: JsonObject): CniResult {
  const interfaces = (objectsField(object, 'interfaces') ?? []).map(readInterface);
  const ips = (objectsField(object, 'ips') ?? []).map((entry) => readIp(entry, interfaces.length));
  const routes = (objectsField(object, 'routes') ?? []).map(readRoute);
  return { interfaces, ips, routes, dns: readDns(objectField(object, 'dns')) };
}

function legacy(object: JsonObject): CniResult {
  const ips: CniIp[] = [];
  const routes: CniRoute[] = [];
  for (const key of ['ip4', 'ip6']) {
    const family = objectField(object, key);
    if (family === undefined) continue;
    ips.push({ address: readCidr(family, 'ip'), gateway: readIpText(family, 'gateway') });
    routes.push(...(objectsField(family, 'routes') ?? []).map(readRoute));
  }
  return { interfaces: [], ips, routes, dns: readDns(objectField(object, 'dns')) };
}

function readInterface(object: JsonObject): CniInterface {
  return {
    name: stringField(object, 'name') ?? '',
    mac: stringField(object, 'mac'),
    mtu: intField(object, 'mtu', { min: 0, max: 0xffff_ffff }),
    sandbox: stringField(object, 'sandbox'),
    socketPath: stringField(object, 'socketPath'),
    pciId: stringField(object, 'pciID'),
  };
}

function readIp(object: JsonObject, interfaces: number): CniIp {
  const index = intField(object, 'interface', { min: -1, max: 0xffff });
  if (index !== undefined && index >= interfaces) {
    throw new CniError(
      CODE.DECODE_FAILURE,
      `ips: interface ${index} does not exist, there are ${interfaces}`,
    );
  }
  return {
    address: readCidr(object, 'address'),
    gateway: readIpText(object, 'gateway'),
    interface: index === -1 ? undefined : index,
  };
}

const U32 = { min: 0, max: 0xffff_ffff };

/** One entry of `routes`; also the form of `ipam.routes`. */
export function readRoute(object: JsonObject): CniRoute {
  return {
    dst: readCidr(object, 'dst'),
    gw: readIpText(object, 'gw'),
    mtu: intField(object, 'mtu', U32),
    advmss: intField(object, 'advmss', U32),
    priority: intField(object, 'priority', U32),
    table: intField(object, 'table', U32),
    scope: intField(object, 'scope', { min: 0, max: 255 }),
  };
}

/** `dns` of a result or a configuration. */
export function readDns(object: JsonObject | undefined): CniDns {
  if (object === undefined) return {};
  return {
    nameservers: stringsField(object, 'nameservers'),
    domain: stringField(object, 'domain'),
    search: stringsField(object, 'search'),
    options: stringsField(object, 'options'),
  };
}

function readCidr(object: JsonObject, key: string): Cidr {
  const text = stringField(object, key);
  const cidr = text === undefined ? undefined : Cidr.tryParse(text);
  if (cidr !== undefined) return cidr;
  throw new CniError(CODE.INVALID_CONFIG, `${key}: ${show(text)} is not an address with prefix length`);
}

function readIpText(object: JsonObject, key: string): Ip | undefined {
  const text = stringField(object, key);
  if (text === undefined || text === '') return undefined;
  const ip = Ip.tryParse(text);
  if (ip !== undefined) return ip;
  throw new CniError(CODE.INVALID_CONFIG, `${key}: ${show(text)} is not an IP address`);
}
