import type { Cidr } from '#net/cidr.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import type { SavedTable } from '#traffic/iptables-save.ts';
import { absent, jumpTarget, missingRule, removeChain, removeJumps, type NatTable } from '../nat-table.ts';

/** One chain per container in table nat, as the Go plugins make it: what one adds the other removes. */
const CHAIN_PREFIX = 'CNI-';
/** The prefix and this many digits are 28 characters, the most that the kernel takes. */
const HASH_DIGITS = 24;
/** XT_MAX_COMMENT_LEN with its NUL is 256. */
const COMMENT_LIMIT = 255;
const MULTICAST: Readonly<Record<Family, string>> = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' };

/** The table, and the way to see without a program whether it holds something. */
export interface NatAccess {
  readonly connection: NetlinkConnection;
  readonly table: NatTable;
}

/** One container of one network; this backend does not tell its interfaces apart. */
export interface MasqueradeOwner {
  readonly network: string;
  readonly containerId: string;
}

/** Masquerades what `addresses` send out of their subnets, each family in one transaction. */
export async function addByIptables(
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
  table: NatTable,
): Promise<void> {
  for (const family of FAMILIES) {
    const some = addresses.filter((address) => address.family === family);
    if (some.length > 0)
      await table.change(family, (live) => ({ commands: planMasquerade(owner, some, live) }));
  }
}

/** Removes the container's chains and all that leads to them; nothing is executed where there can be none. */
export async function removeByIptables(
  owner: MasqueradeOwner,
  { connection, table }: NatAccess,
): Promise<void> {
  const chain = chainOf(owner);
  await table.changeWhere({ connection, chains: [chain] }, (live) => ({
    commands: live.has(chain) ? removeChain(chain, live) : [],
  }));
}

/** GC: removes the network's chains whose container is not in `valid`: the comment of the jump says whose it is. */
export async function collectByIptables(
  network: string,
  valid: ReadonlySet<string>,
  { connection, table }: NatAccess,
): Promise<void> {
  await table.changeWhere({ connection, chains: ['POSTROUTING'] }, (live) => ({
    commands: planCollection(network, valid, live),
  }));
}

/** Whether the container has a chain. */
export async function hasByIptables(
  owner: MasqueradeOwner,
  { connection, table }: NatAccess,
): Promise<boolean> {
  return table.has(connection, chainOf(owner));
}

/** Throws CniError 999 when a rule is missing. */
export async function checkByIptables(
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
  table: NatTable,
): Promise<void> {
  for (const family of FAMILIES) {
    const some = addresses.filter((address) => address.family === family);
    if (some.length === 0) continue;
    const live = await table.read(family);
    const { chain, rules, jumps } = rulesOf(owner, some);
    for (const [name, line] of [
      ...rules.map((rule) => [chain, rule] as const),
      ...jumps.map((jump) => ['POSTROUTING', jump] as const),
    ]) {
      if (absent(live, name, [line]).length > 0) throw missingRule(family, name, line);
    }
  }
}

/** Pure: what makes `live` have the rules. Naming the chain makes or empties it, so those of an earlier ADD go. */
export function planMasquerade(
  owner: MasqueradeOwner,
  addresses: readonly Cidr[],
  live: SavedTable,
): readonly string[] {
  const { chain, rules, jumps } = rulesOf(owner, addresses);
  return [
    ...removeJumps(chain, live),
    `:${chain} - [0:0]`,
    ...rules.map((line) => `-A ${chain} ${line}`),
    ...jumps.map((line) => `-A POSTROUTING ${line}`),
  ];
}

/** Pure: as `collectByIptables`. */
export function planCollection(
  network: string,
  valid: ReadonlySet<string>,
  live: SavedTable,
): readonly string[] {
  const dead = new Set<string>();
  for (const line of live.get('POSTROUTING') ?? []) {
    const [, name, containerId] =
      /--comment "name: \\"([^"\\]*)\\" id: \\"([^"\\]*)\\"" -j /.exec(line) ?? [];
    if (name !== network || containerId === undefined || valid.has(containerId)) continue;
    const chain = chainOf({ network, containerId });
    if (live.has(chain) && jumpTarget(line) === chain) dead.add(chain);
  }
  return [...dead].flatMap((chain) => removeChain(chain, live));
}

/** Rules as `iptables-save` prints them; all addresses are of one family. */
function rulesOf(owner: MasqueradeOwner, addresses: readonly Cidr[]) {
  const chain = chainOf(owner);
  const comment = `-m comment --comment "${commentOf(owner).replaceAll(/["\\]/g, '\\$&')}"`;
  const subnets = new Set(addresses.map((address) => address.network().toString()));
  const families = new Set(addresses.map(({ family }) => family));
  return {
    chain,
    rules: [
      // Every subnet of the pod before the rule that takes the rest. iptables-save leaves out what is everything.
      ...[...subnets].map((subnet) => `${subnet.endsWith('/0') ? '' : `-d ${subnet} `}${comment} -j ACCEPT`),
      ...[...families].map((family) => `! -d ${MULTICAST[family]} ${comment} -j MASQUERADE`),
    ],
    jumps: addresses.map(({ ip }) => `-s ${ip}/${ip.bits} ${comment} -j ${chain}`),
  };
}

function chainOf({ network, containerId }: MasqueradeOwner): string {
  const digest = new Bun.CryptoHasher('sha512').update(network + containerId).digest('hex');
  return CHAIN_PREFIX + digest.slice(0, HASH_DIGITS);
}

function commentOf({ network, containerId }: MasqueradeOwner): string {
  const text = `name: "${network}" id: "${containerId}"`;
  return text.length <= COMMENT_LIMIT ? text : `${text.slice(0, COMMENT_LIMIT - 3)}...`;
}
