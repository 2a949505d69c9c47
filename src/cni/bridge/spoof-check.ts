import type { Mac } from '#net/mac.ts';
import { back, drop, etherSaddr, iifname, jump, rule } from '#nftables/build.ts';
import type { Change } from '#nftables/change.ts';
import { sameRule } from '#nftables/compare.ts';
import { Nftables } from '#nftables/connection.ts';
import type { Rule, Table, TableKey } from '#nftables/objects.ts';
import { openNetfilter } from '../netfilter.ts';
import type { Host } from '../plugin.ts';
import { inTurn, withNftLock } from '../nft-lock.ts';
import { CniError, CODE } from '../error.ts';
import type { Attachment } from '#ipam/store.ts';

/** Table and chains of the Go plugin: what one adds the other removes. */
const TABLE: TableKey = { family: 'bridge', name: 'nat' };
const BASE_CHAIN = 'PREROUTING';
const CHAIN_PREFIX = 'cni-br-iface-';
const COMMENT_PREFIX = 'macspoofchk-';
/** Before everything else: a frame that is not to be there must not teach or trigger anything (as libvirt's ebtables). */
const HOOK = { type: 'filter', point: 'prerouting', priority: -300, policy: 'accept' } as const;
/** NFTNL_UDATA_COMMENT: longest comment that nft takes, bytes. */
const COMMENT_LIMIT = 127;
/** Longest network name that is written as it is. */
const TAG_LIMIT = 100;

/** One interface of one container of one network. */
export interface SpoofOwner extends Attachment {
  readonly network: string;
}

/** The port of the bridge, and the only source address that may come in by it. */
export interface SpoofPort {
  readonly hostEnd: string;
  readonly mac: Mac;
}

interface SpoofRules {
  readonly jumpRule: Rule;
  readonly chains: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

/** The rules of this namespace, for all that one call does with them. */
export function openRules(host: Host): Nftables {
  return Nftables.over(openNetfilter(host));
}

/** Drops every frame that comes from the pod with another source address than its own. */
export function addSpoofCheck(nft: Nftables, owner: SpoofOwner, port: SpoofPort): void {
  inTurn(() => nft.apply(planSpoofCheck(owner, port, nft.read(TABLE))));
}

/** Pure: the transaction that makes `live` have the rules. Those of an earlier ADD of the same interface go. */
export function planSpoofCheck(owner: SpoofOwner, port: SpoofPort, live: Table | undefined): Change[] {
  const { jumpRule, chains } = rulesOf(owner, port);
  const has = (chain: string) => live?.chains.some(({ name }) => name === chain) === true;
  return [
    ...(live === undefined ? [{ do: 'add table', table: TABLE } as const] : []),
    // A base chain that is there is left as it is: the kernel refuses another priority for it.
    ...(has(BASE_CHAIN) ? [] : [addChain(BASE_CHAIN, HOOK)]),
    ...chains.map(({ name }) => addChain(name)),
    ...jumpsTo(chains.at(0)?.name ?? '', live),
    ...chains.flatMap(({ name, rules }): Change[] => [
      { do: 'flush chain', table: TABLE, chain: name },
      ...rules.map((entry): Change => ({ do: 'add rule', table: TABLE, chain: name, rule: entry })),
    ]),
    { do: 'add rule', table: TABLE, chain: BASE_CHAIN, rule: jumpRule },
  ];
}

/** Removes the interface's chains and what leads there; table and base chain stay, they may be somebody else's. */
export function removeSpoofCheck(nft: Nftables, owner: SpoofOwner): void {
  const chain = chainOf(owner);
  removeChains(nft, (name) => name === chain);
}

/**
 * GC: removes what belongs to no attachment in `valid`. The Go plugin's rules do not say their network: of those, only
 * the ones whose interface is gone (`exists`).
 */
export function collectSpoofChecks(
  nft: Nftables,
  { network, valid }: { readonly network: string; readonly valid: readonly Attachment[] },
  exists: (name: string) => boolean,
): void {
  const kept = new Set(valid.map(chainOf));
  const tag = tagOf(network);
  removeChains(nft, (name, jumps) => {
    if (kept.has(name)) return false;
    if (jumps.some((entry) => entry.tag === tag)) return true;
    const interfaces = jumps.map(interfaceOf);
    return interfaces.length > 0 && interfaces.every((each) => each !== undefined && !exists(each));
  });
}

/** Throws CniError 999 when a rule is missing or another one stands in its place. */
export function checkSpoofCheck(nft: Nftables, owner: SpoofOwner, port: SpoofPort): void {
  const live = withNftLock(() => nft.read(TABLE));
  const { jumpRule, chains } = rulesOf(owner, port);
  const base = live?.chains.find(({ name }) => name === BASE_CHAIN);
  const complete =
    base?.hook?.point === HOOK.point &&
    base.rules.some((entry) => sameRule(entry, jumpRule)) &&
    chains.every(({ name, rules }) => {
      const present = live?.chains.find((chain) => chain.name === name)?.rules ?? [];
      return (
        present.length === rules.length &&
        rules.every((entry, at) => sameRule(entry, present[at] ?? { expressions: [] }))
      );
    });
  if (complete) return;
  throw new CniError(
    CODE.INTERNAL,
    `CHECK: rules against forged MAC addresses of ${port.hostEnd} are missing in nftables table bridge ${TABLE.name}`,
    { details: 'remove the container and add it again' },
  );
}

function rulesOf(owner: SpoofOwner, { hostEnd, mac }: SpoofPort): SpoofRules {
  const comment = COMMENT_PREFIX + referenceOf(owner);
  const chain = chainOf(owner);
  const owned = (parts: Parameters<typeof rule>[0]): Rule => ({
    ...rule(parts, comment),
    tag: tagOf(owner.network),
  });
  return {
    // iifname "veth0" jump cni-br-iface-…
    jumpRule: owned([iifname('==', hostEnd), jump(chain)]),
    chains: [
      { name: chain, rules: [owned([jump(macChainOf(chain))])] },
      {
        name: macChainOf(chain),
        // ether saddr 02:00:00:00:00:01 return; drop
        rules: [owned([etherSaddr('==', mac), back]), owned([drop])],
      },
    ],
  };
}

function removeChains(nft: Nftables, wanted: (chain: string, jumps: readonly Rule[]) => boolean): void {
  inTurn(() => {
    const live = nft.read(TABLE);
    const names = live?.chains.map(({ name }) => name) ?? [];
    const found = names.filter(
      (name) =>
        name.startsWith(CHAIN_PREFIX) && !isMacChain(name, names) && wanted(name, jumpRules(name, live)),
    );
    nft.apply(found.flatMap((name) => removal(name, live)));
  });
}

/** A container's interface may itself be called `…-mac`: it is a second chain only behind a first one. */
function isMacChain(name: string, names: readonly string[]): boolean {
  return name.endsWith('-mac') && names.includes(name.slice(0, -'-mac'.length));
}

function removal(chain: string, live: Table | undefined): Change[] {
  const names = [chain, macChainOf(chain)].filter((name) => live?.chains.some((each) => each.name === name));
  return [
    ...jumpsTo(chain, live),
    ...names.map((name): Change => ({ do: 'flush chain', table: TABLE, chain: name })),
    ...names.map((name): Change => ({ do: 'delete chain', table: TABLE, chain: name })),
  ];
}

function jumpRules(chain: string, live: Table | undefined): readonly Rule[] {
  const rules = live?.chains.find(({ name }) => name === BASE_CHAIN)?.rules ?? [];
  return rules.filter(({ expressions }) =>
    expressions.some((entry) => entry.kind === 'verdict' && entry.chain === chain),
  );
}

function jumpsTo(chain: string, live: Table | undefined): Change[] {
  return jumpRules(chain, live).flatMap(({ handle }): Change[] =>
    handle === undefined ? [] : [{ do: 'delete rule', table: TABLE, chain: BASE_CHAIN, handle }],
  );
}

/** The interface that a rule of the base chain is about. */
function interfaceOf({ expressions: [load, compare] }: Rule): string | undefined {
  if (load?.kind !== 'meta' || load.key !== 'iifname' || compare?.kind !== 'cmp') return undefined;
  const { value } = compare;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

function addChain(name: string, hook?: typeof HOOK): Change {
  return { do: 'add chain', table: TABLE, chain: { name, hook } };
}

/** The name by which the rules are found again; what nft could not print is shortened. */
function referenceOf({ containerId, ifName }: Attachment): string {
  const id = `${containerId}-${ifName}`;
  return COMMENT_PREFIX.length + id.length <= COMMENT_LIMIT ? id : sha512(id).slice(0, 64);
}

function chainOf(owner: Attachment): string {
  return CHAIN_PREFIX + referenceOf(owner);
}

function macChainOf(chain: string): string {
  return `${chain}-mac`;
}

function tagOf(network: string): string {
  return network.length <= TAG_LIMIT ? network : sha512(network).slice(0, 64);
}

function sha512(text: string): string {
  return new Bun.CryptoHasher('sha512').update(text).digest('hex');
}
