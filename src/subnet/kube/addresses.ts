import type { Logger } from '#base/log.ts';
import { FAMILIES } from '#net/family.ts';
import type { Ip } from '#net/ip.ts';
import type { Lease } from '../lease.ts';

/** How many addresses are complained about one by one per list; the rest are counted. */
const LOUD = 20;
/** Tells IPv6 addresses from IPv4 ones of the same value. */
const IPV6 = 1n << 128n;

interface Shared {
  readonly ip: Ip;
  readonly names: Set<string>;
}

/**
 * Peers that publish one public address: a machine whose Node was made anew under another name, or a mistake. Both are
 * kept, because nothing tells which one is alive, and their entries do not exclude each other; but it is said, once.
 */
export class SharedAddresses {
  readonly #log: Logger;
  /** The only peer at an address; those with several are in `#shared`, too. */
  #owners = new Map<bigint, string>();
  #shared = new Map<bigint, Shared>();
  /** What has been said and still holds. */
  #told = new Map<bigint, string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Replaces everything by these leases. */
  reset(leases: Iterable<Lease>): void {
    this.#owners = new Map();
    this.#shared = new Map();
    for (const lease of leases) this.#claim(lease);
    this.#tell();
  }

  /** A lease takes the place of another one of the same name, or of none. */
  replace(before: Lease | undefined, now: Lease | undefined): void {
    if (before !== undefined) this.#release(before);
    if (now !== undefined) this.#claim(now);
    if (this.#shared.size > 0 || this.#told.size > 0) this.#tell();
  }

  #claim(lease: Lease): void {
    for (const { key, ip } of addressesOf(lease)) {
      const owner = this.#owners.get(key);
      if (owner === undefined || owner === lease.name) {
        this.#owners.set(key, lease.name);
        continue;
      }
      const shared = this.#shared.get(key) ?? { ip, names: new Set([owner]) };
      shared.names.add(lease.name);
      this.#shared.set(key, shared);
    }
  }

  #release(lease: Lease): void {
    for (const { key } of addressesOf(lease)) {
      const names = this.#shared.get(key)?.names;
      names?.delete(lease.name);
      const [other] = names ?? [];
      if (names !== undefined && names.size < 2) this.#shared.delete(key);
      if (other === undefined) this.#owners.delete(key);
      else this.#owners.set(key, other);
    }
  }

  #tell(): void {
    const told = new Map<bigint, string>();
    let news = 0;
    for (const [key, { ip, names }] of this.#shared) {
      const peers = [...names].sort().join(', ');
      told.set(key, peers);
      if (this.#told.get(key) === peers) continue;
      news += 1;
      if (news <= LOUD)
        this.#log.warn('peers publish the same public address', { address: ip, peers, cure: CURE });
    }
    if (news > LOUD) this.#log.warn('more public addresses are published twice', { count: news - LOUD });
    this.#told = told;
  }
}

const CURE = 'delete the Node that no longer exists, or give each its own address (--public-ip, --iface)';

function* addressesOf(lease: Lease): Generator<{ key: bigint; ip: Ip }> {
  for (const family of FAMILIES) {
    const ip = lease.families[family]?.publicIp;
    if (ip !== undefined) yield { ip, key: family === 'ipv4' ? ip.value : ip.value | IPV6 };
  }
}
