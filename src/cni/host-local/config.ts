import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { CniArgs } from '../environment.ts';
import { invalidConfig } from '../error.ts';
import {
  absolutePath,
  arrayField,
  field,
  isObject,
  objectField,
  objectsField,
  show,
  stringField,
  stringsField,
  type JsonObject,
} from '../json.ts';
import type { NetConf } from '../plugin.ts';
import { readRoute } from '../result-parse.ts';
import type { CniRoute } from '../result.ts';
import { atLeast } from '../version.ts';
import { parseRange, rangesOverlap, showSet, type IpRange, type RangeSet } from './range.ts';

const DEFAULT_DATA_DIR = '/var/lib/cni/networks';

/** The checked `ipam` section of a configuration. */
export interface HostLocalConfig {
  /** Folder of this network's reservations. */
  readonly storeDir: string;
  readonly ranges: readonly RangeSet[];
  readonly routes: readonly CniRoute[];
  readonly resolvConf: string | undefined;
  /** Addresses that the caller asks for, at most one per range set. */
  readonly requested: readonly Ip[];
}

/** Where a network's reservations stand: enough for DEL, which must also work with ranges that are no good any more. */
export function storeDirOf(conf: NetConf): string {
  const ipam = objectField(conf.raw, 'ipam');
  if (ipam === undefined) throw invalidConfig("IPAM config missing 'ipam' key");
  return `${absolutePath(ipam, 'dataDir') ?? DEFAULT_DATA_DIR}/${conf.name}`;
}

/** Reads `ipam`, `runtimeConfig`, `args.cni` and `CNI_ARGS`. Throws CniError 7. */
export function parseHostLocal(conf: NetConf, args: CniArgs): HostLocalConfig {
  const storeDir = storeDirOf(conf);
  const ipam = objectField(conf.raw, 'ipam') ?? {};
  const runtime = objectField(conf.raw, 'runtimeConfig') ?? {};
  const single = field(ipam, 'subnet') === undefined ? [] : [[parseRange(ipam)]];
  const ranges = [...readSets(runtime, 'ipRanges'), ...single, ...readSets(ipam, 'ranges')];
  if (ranges.length === 0) throw invalidConfig('no IP ranges specified', 'set ipam.ranges or ipam.subnet');
  checkSets(ranges, conf.cniVersion);
  return {
    storeDir,
    ranges,
    routes: (objectsField(ipam, 'routes') ?? []).map(readRoute),
    resolvConf: stringField(ipam, 'resolvConf') || undefined,
    requested: requestedIps(conf.raw, { runtime, args }),
  };
}

function readSets(object: JsonObject, key: string): IpRange[][] {
  return (arrayField(object, key) ?? []).map((set, index) => {
    if (!Array.isArray(set) || set.length === 0) {
      throw invalidConfig(`${key}[${index}]: ${show(set)} is not a list of ranges`);
    }
    return set.map((range: unknown) => {
      if (!isObject(range)) throw invalidConfig(`${key}[${index}]: ${show(range)} is not a range`);
      return parseRange(range);
    });
  });
}

function checkSets(sets: readonly RangeSet[], cniVersion: string): void {
  for (const [at, set] of sets.entries()) {
    const all = sets.slice(0, at).flat();
    for (const [i, range] of set.entries()) {
      if (range.subnet.family !== set[0]?.subnet.family)
        throw invalidConfig(`range set ${at} mixes IPv4 and IPv6`);
      const clash = [...all, ...set.slice(0, i)].find((other) => rangesOverlap(range, other));
      if (clash !== undefined)
        throw invalidConfig(`ranges ${showSet([clash])} and ${showSet([range])} overlap`);
    }
  }
  if (atLeast(cniVersion, '0.3.0')) return;
  for (const family of ['ipv4', 'ipv6']) {
    if (sets.filter((set) => set[0]?.subnet.family === family).length > 1) {
      throw invalidConfig(`cniVersion ${cniVersion} does not support more than one address per family`);
    }
  }
}

function requestedIps(raw: JsonObject, from: { runtime: JsonObject; args: CniArgs }): Ip[] {
  const cniArgs = objectField(objectField(raw, 'args') ?? {}, 'cni') ?? {};
  const byEnvironment = from.args.extra.get('IP');
  const texts = [
    ...(byEnvironment === undefined ? [] : byEnvironment.split(',')),
    ...(stringsField(cniArgs, 'ips') ?? []),
    ...(stringsField(from.runtime, 'ips') ?? []),
  ];
  const byText = new Map<string, Ip>();
  for (const text of texts) {
    const ip = Ip.tryParse(text) ?? Cidr.tryParse(text)?.ip;
    if (ip === undefined) throw invalidConfig(`requested IP ${show(text)} is not an address`);
    byText.set(ip.toString(), ip);
  }
  return [...byText.values()];
}
