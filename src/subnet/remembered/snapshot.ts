import { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import { isObject } from '../fields.ts';
import { isNodeName, MAX_ANNOTATION } from '../kube/node.ts';
import { parsePublicIp } from '../kube/node-lease.ts';
import type { FamilyLease, Lease, PerFamily } from '../lease.ts';
import type { OwnRecord } from '../manager.ts';

/** Of which node, store and pod network a snapshot is: one of another cluster's networks or node is of no use. */
export interface SnapshotOwner {
  /** Which store, and under which names it was read, e.g. `kube flannel.alpha.coreos.com`. */
  readonly source: string;
  /** The node's name; undefined when only the store can tell. */
  readonly node: string | undefined;
  readonly networks: PerFamily<Cidr>;
}

/** What this node knew of itself and its peers. */
export interface Snapshot {
  readonly own: OwnRecord;
  readonly leases: ReadonlyMap<string, Lease>;
}

/** First line of the file. Another version is ignored: the file lives no longer than it takes to list the nodes again. */
const FORMAT = 'flannel-last-known';
const VERSION = 1;

/** The first line: everything but the peers. `savedAt` is for people. */
export function renderHead(owner: SnapshotOwner, own: OwnRecord, savedAt: Date): string {
  const { source, networks } = owner;
  return line({ format: FORMAT, version: VERSION, savedAt, source, networks, own });
}

export function renderLease({ name, backendType, families }: Lease): string {
  return line({ name, backendType, ...families });
}

/** The last line: a file without it, or whose bytes are others, was not written to its end. */
export function renderEnd(peers: number, sha256: string): string {
  return line({ peers, sha256 });
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** A part of a snapshot that cannot be used; the message says why. */
export class UnusableSnapshot extends Error {
  override readonly name = 'UnusableSnapshot';
}

/** Reads the first line and checks that it fits `owner`. Throws UnusableSnapshot. */
export function parseHead(text: string, owner: SnapshotOwner): OwnRecord {
  const head = parseObject(text, 'its first line');
  if (head['format'] !== FORMAT) throw new UnusableSnapshot('it is no record of the last known state');
  if (head['version'] !== VERSION)
    throw new UnusableSnapshot('another version of the program has written it');
  if (head['source'] !== owner.source) throw new UnusableSnapshot('it is of another store or prefix');
  const own = parseOwn(head['own']);
  if (owner.node !== undefined && own.name !== owner.node)
    throw new UnusableSnapshot(`it is of the node ${own.name}, and this is ${owner.node}`);
  const networks = cidrs(head['networks'], 'networks');
  for (const family of FAMILIES) {
    const [then, now] = [networks[family], owner.networks[family]];
    const same = then === undefined || now === undefined ? then === now : then.equals(now);
    if (!same)
      throw new UnusableSnapshot(
        `its ${family} network is ${then ?? 'none'}, and now it is ${now ?? 'none'}`,
      );
    const subnet = own.subnets[family];
    if (now === undefined ? subnet !== undefined : subnet === undefined || !now.contains(subnet))
      throw new UnusableSnapshot(`its own ${family} subnet does not fit the network`);
  }
  return own;
}

/** Reads a peer's line. Throws UnusableSnapshot. */
export function parseLease(text: string, { networks }: SnapshotOwner): Lease {
  const { name, backendType, ...rest } = parseObject(text, 'a peer');
  if (typeof name !== 'string' || !isNodeName(name)) throw new UnusableSnapshot('a peer has no name');
  const families: Partial<Record<Family, FamilyLease>> = {};
  for (const family of FAMILIES) {
    const value = rest[family];
    if (value === undefined) continue;
    const { subnet, publicIp, backendData } = object(value, `${family} of ${name}`);
    const cidr = network(subnet, family, `subnet of ${name}`);
    if (networks[family]?.contains(cidr) !== true)
      throw new UnusableSnapshot(`the subnet of ${name} is outside of the network`);
    families[family] = {
      subnet: cidr,
      publicIp: address(publicIp, family, `address of ${name}`),
      backendData: bounded(backendData, `backend data of ${name}`),
    };
  }
  if (families.ipv4 === undefined && families.ipv6 === undefined)
    throw new UnusableSnapshot(`${name} has no family`);
  return { name, backendType: typeOf(backendType, name), families };
}

/** Reads the last line; undefined when `text` is another one. Throws UnusableSnapshot. */
export function parseEnd(text: string): { peers: number; sha256: string } | undefined {
  if (!text.startsWith('{"peers":')) return undefined;
  const { peers, sha256 } = parseObject(text, 'its last line');
  if (typeof peers !== 'number' || typeof sha256 !== 'string')
    throw new UnusableSnapshot('its last line is damaged');
  return { peers, sha256 };
}

function parseOwn(value: unknown): OwnRecord {
  const own = object(value, 'own');
  const { name } = own;
  if (typeof name !== 'string' || !isNodeName(name)) throw new UnusableSnapshot('it names no node');
  const backendData: Partial<Record<Family, string>> = {};
  const publicIp: Partial<Record<Family, Ip>> = {};
  const [data, addresses] = [object(own['backendData'], 'backendData'), object(own['publicIp'], 'publicIp')];
  for (const family of FAMILIES) {
    if (data[family] !== undefined) backendData[family] = bounded(data[family], 'own backend data');
    if (addresses[family] !== undefined)
      publicIp[family] = address(addresses[family], family, 'own public address');
  }
  const type = own['backendType'];
  const backendType = type === undefined ? undefined : typeOf(type, name);
  return { name, subnets: cidrs(own['subnets'], 'own subnets'), backendType, backendData, publicIp };
}

function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What is not JSON is no object either.
  }
  return object(value, what);
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (!isObject(value)) throw new UnusableSnapshot(`${what} cannot be read`);
  return value;
}

function cidrs(value: unknown, what: string): PerFamily<Cidr> {
  const table = object(value, what);
  const found: Partial<Record<Family, Cidr>> = {};
  for (const family of FAMILIES)
    if (table[family] !== undefined) found[family] = network(table[family], family, what);
  return found;
}

function network(value: unknown, family: Family, what: string): Cidr {
  const cidr = typeof value === 'string' ? Cidr.tryParse(value) : undefined;
  if (cidr === undefined || cidr.family !== family || !cidr.isNetwork())
    throw new UnusableSnapshot(`${what}: no ${family} network`);
  return cidr;
}

function address(value: unknown, family: Family, what: string): Ip {
  const ip = typeof value === 'string' ? parsePublicIp(value, family) : undefined;
  if (ip === undefined) throw new UnusableSnapshot(`${what}: no unicast ${family} address`);
  return ip;
}

function bounded(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > MAX_ANNOTATION)
    throw new UnusableSnapshot(`${what} cannot be read`);
  return value;
}

function typeOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^[a-z][a-z0-9-]{0,31}$/.test(value))
    throw new UnusableSnapshot(`${name} has no backend type`);
  return value;
}
