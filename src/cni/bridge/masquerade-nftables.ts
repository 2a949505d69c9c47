import { Cidr } from '#net/cidr.ts';
import type { Change } from '#nftables/change.ts';
import { back, daddr, goTo, masquerade, nfproto, rule, saddr } from '#nftables/build.ts';
import type { Nftables } from '#nftables/connection.ts';
import { PRIORITY, type Rule, type RuleHead, type Table, type TableKey } from '#nftables/objects.ts';
import { withoutNfTables } from '#nftables/attempt.ts';
import { sameRule } from '#nftables/compare.ts';
import { inTurn, withNftLock } from '../nft-lock.ts';
import { CniError, CODE } from '../error.ts';
import type { Attachment } from '#ipam/store.ts';

/** The table of the Go plugins' nftables backend: what one adds the other removes. */
const TABLE: TableKey = { family: 'inet', name: 'cni_plugins_masquerade' };
const CHAIN = 'masq_checks';
const TABLE_COMMENT = 'Masquerading for plugins from github.com/containernetworking/plugins';
const CHAIN_COMMENT = 'Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet';
/** NFTNL_UDATA_COMMENT: longest comment that nft takes, bytes. */
const COMMENT_LIMIT = 127;

/** One interface of one container of one network. */
export interface InterfaceOwner extends Attachment {
  readonly network: string;
}

/** Masquerades what `addresses` send out of their subnets. Rules of an earlier ADD of the same interface are replaced. */
export function addByNftables(nft: Nftables, owner: InterfaceOwner, addresses: readonly Cidr[]): void {
  inTurn(() => {
    const live = nft.read(TABLE);
    nft.apply([
      ...frame(live),
      ...deletions(rulesIn(live), (comment) => comment.startsWith(instanceHash(owner))),
      ...addresses.map((address): Change => ({
        do: 'add rule',
        table: TABLE,
        chain: CHAIN,
        rule: ruleOf(owner, address),
      })),
    ]);
  });
}

/** Removes the rules of this container's interface; nothing happens when there are none. */
export function removeByNftables(nft: Nftables, owner: InterfaceOwner): void {
  removeWhere(nft, (comment) => comment.startsWith(instanceHash(owner)));
}

/** GC: removes the network's rules that belong to no attachment in `valid`. */
export function collectByNftables(nft: Nftables, network: string, valid: readonly Attachment[]): void {
  const kept = valid.map((attachment) => instanceHash({ network, ...attachment }));
  removeWhere(
    nft,
    (comment) => comment.startsWith(`${hash(network)}-`) && !kept.some((each) => comment.startsWith(each)),
  );
}

/** Throws CniError 999 when a rule is missing. */
export function checkByNftables(nft: Nftables, owner: InterfaceOwner, addresses: readonly Cidr[]): void {
  const live = withNftLock(() => nft.read(TABLE));
  const present = rulesIn(live);
  for (const address of addresses) {
    const wanted = ruleOf(owner, address);
    if (frame(live).length === 0 && present.some((entry) => sameRule(entry, wanted))) continue;
    const message = `CHECK: a rule that masquerades ${address.ip} is missing in nftables table ${TABLE.name}`;
    throw new CniError(CODE.INTERNAL, message, { details: 'remove the container and add it again' });
  }
}

function removeWhere(nft: Nftables, wanted: (comment: string) => boolean): void {
  const isWanted = ({ chain, comment }: RuleHead) => chain === CHAIN && wanted(comment ?? '');
  inTurn(() => {
    const found = withoutNfTables([], () => nft.rules(TABLE, isWanted));
    nft.apply(
      deletions(
        found.map(({ rule: entry }) => entry),
        wanted,
      ),
    );
  });
}

/** `ip saddr 10.244.1.2 ip daddr != 10.244.1.0/24 masquerade` */
function ruleOf(owner: InterfaceOwner, address: Cidr): Rule {
  const parts = [
    nfproto(address.family),
    saddr('==', new Cidr(address.ip, address.ip.bits)),
    daddr('!=', address.network()),
    masquerade(),
  ];
  return rule(parts, commentOf(owner));
}

/** Table and chains, when they are not complete: an ADD that deletes nothing does not wait for the kernel. */
function frame(live: Table | undefined): Change[] {
  const rules = live?.chains.find(({ name }) => name === 'postrouting')?.rules.length ?? 0;
  if (rules === 3 && live?.chains.some(({ name }) => name === CHAIN) === true) return [];
  const chain = 'postrouting';
  const hook = { type: 'nat', point: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' } as const;
  const parts = [
    // ip daddr 224.0.0.0/4 return
    [nfproto('ipv4'), daddr('==', Cidr.parse('224.0.0.0/4')), back],
    // ip6 daddr ff00::/8 return
    [nfproto('ipv6'), daddr('==', Cidr.parse('ff00::/8')), back],
    // goto masq_checks
    [goTo(CHAIN)],
  ];
  return [
    { do: 'add table', table: TABLE, comment: TABLE_COMMENT },
    { do: 'add chain', table: TABLE, chain: { name: CHAIN, comment: CHAIN_COMMENT } },
    { do: 'add chain', table: TABLE, chain: { name: chain, hook } },
    { do: 'flush chain', table: TABLE, chain },
    ...parts.map((list): Change => ({ do: 'add rule', table: TABLE, chain, rule: rule(list) })),
  ];
}

function rulesIn(live: Table | undefined): readonly Rule[] {
  return live?.chains.find(({ name }) => name === CHAIN)?.rules ?? [];
}

function deletions(rules: readonly Rule[], wanted: (comment: string) => boolean): Change[] {
  return rules.flatMap(({ comment, handle }): Change[] =>
    handle !== undefined && comment !== undefined && wanted(comment)
      ? [{ do: 'delete rule', table: TABLE, chain: CHAIN, handle }]
      : [],
  );
}

function hash(text: string): string {
  return new Bun.CryptoHasher('sha512').update(text).digest('hex').slice(0, 16);
}

/** By network and by interface and container: the comment begins with it, and it finds the rule again. */
function instanceHash({ network, ifName, containerId }: InterfaceOwner): string {
  return `${hash(network)}-${hash(`${ifName}:${containerId}`)}`;
}

function commentOf(owner: InterfaceOwner): string {
  const { network, ifName, containerId } = owner;
  const text = `${instanceHash(owner)}, net: ${network}, if: ${ifName}, id: ${containerId}`;
  return text.replaceAll('"', '').slice(0, COMMENT_LIMIT);
}
