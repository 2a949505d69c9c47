import type { SubnetEnv } from '#subnet/env-text.ts';
import { FAMILIES } from '#net/family.ts';
import { isPluginName } from '../delegate.ts';
import { invalidConfig } from '../error.ts';
import { absolutePath, field, isObject, objectField, objectsField, type JsonObject } from '../json.ts';
import type { NetConf } from '../plugin.ts';
import { readRoute } from '../result-parse.ts';
import { SUPPORTED_VERSIONS } from '../version.ts';

/** The checked configuration of `flannel`. */
export interface FlannelConfig {
  readonly subnetFile: string;
  /** Folder of the delegate configurations of running containers. */
  readonly dataDir: string;
  /** As the administrator wrote it. */
  readonly delegate: JsonObject;
  readonly ipam: JsonObject;
  readonly runtimeConfig: JsonObject | undefined;
}

/** Throws CniError 7. */
export function parseFlannel(conf: NetConf): FlannelConfig {
  const delegate = objectField(conf.raw, 'delegate') ?? {};
  for (const key of ['name', 'ipam']) {
    if (!Object.hasOwn(delegate, key)) continue;
    throw invalidConfig(`'delegate' dictionary must not have '${key}' field, it'll be set by flannel`);
  }
  if (Object.hasOwn(delegate, 'type') && typeof delegate['type'] !== 'string') {
    throw invalidConfig("'delegate' dictionary, if present, must have (string) 'type' field");
  }
  return {
    subnetFile: absolutePath(conf.raw, 'subnetFile') ?? '/run/flannel/subnet.env',
    dataDir: absolutePath(conf.raw, 'dataDir') ?? '/var/lib/cni/flannel',
    delegate,
    ipam: objectField(conf.raw, 'ipam') ?? {},
    runtimeConfig: objectField(conf.raw, 'runtimeConfig'),
  };
}

/**
 * The configuration that the delegate gets: what the administrator wrote, completed by what the agent says in
 * `subnet.env`. Pure.
 */
export function delegateConfig(conf: NetConf, config: FlannelConfig, env: SubnetEnv): JsonObject {
  const { delegate, runtimeConfig } = config;
  const type = delegate['type'] ?? 'bridge';
  return {
    // Whoever masquerades, only one of the two does.
    ipMasq: !env.ipMasq,
    mtu: env.mtu,
    ...(type === 'bridge' ? { isGateway: true } : {}),
    ...delegate,
    type,
    name: conf.name,
    ...(field(conf.raw, 'cniVersion') === undefined ? {} : { cniVersion: conf.cniVersion }),
    ...(runtimeConfig === undefined ? {} : { runtimeConfig }),
    ipam: delegateIpam(config.ipam, env),
  };
}

function delegateIpam(ipam: JsonObject, env: SubnetEnv): JsonObject {
  const ranges: unknown[] = [];
  const networks: unknown[] = [];
  for (const family of FAMILIES) {
    const gateway = env.gateways[family];
    if (gateway !== undefined) ranges.push([{ subnet: gateway.network().toString() }]);
    for (const network of env.networks[family] ?? []) networks.push({ dst: network.toString() });
  }
  return {
    type: 'host-local',
    ...ipam,
    ranges,
    routes: [...givenRoutes(ipam), ...networks],
  };
}

/** Checked here, where the message can name the place; passed on as they came. */
function givenRoutes(ipam: JsonObject): readonly JsonObject[] {
  const routes = objectsField(ipam, 'routes') ?? [];
  for (const route of routes) readRoute(route);
  return routes;
}

/** The type of a delegate configuration. */
export function delegateType(delegate: JsonObject): string {
  return typeof delegate['type'] === 'string' ? delegate['type'] : 'bridge';
}

/** The type of a delegate configuration's IPAM plugin. */
export function ipamType(delegate: JsonObject): string {
  const type = objectField(delegate, 'ipam')?.['type'];
  return typeof type === 'string' ? type : 'host-local';
}

/** True for a stored configuration that DEL can work with. */
export function isDelegateConfig(value: unknown): value is JsonObject {
  if (!isObject(value) || !isType(value['type']) || typeof value['name'] !== 'string') return false;
  const { cniVersion = '0.1.0', ipam } = value;
  if (typeof cniVersion !== 'string' || !SUPPORTED_VERSIONS.includes(cniVersion)) return false;
  return isObject(ipam) && isType(ipam['type'] ?? 'host-local');
}

function isType(value: unknown): boolean {
  return typeof value === 'string' && isPluginName(value);
}
