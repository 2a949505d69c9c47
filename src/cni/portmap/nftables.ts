import type { Cidr } from '#net/cidr.ts';
import { FAMILIES } from '#net/family.ts';
import { withoutNfTables } from '#nftables/attempt.ts';
import type { Change } from '#nftables/change.ts';
import { sameRule } from '#nftables/compare.ts';
import type { Nftables, PlacedRule } from '#nftables/connection.ts';
import type { Rule, RuleHead, Table, TableKey } from '#nftables/objects.ts';
import { CniError, CODE } from '../error.ts';
import { inTurn, withNftLock } from '../nft-lock.ts';
import { mappingsFor, placeKey, placeOf, targetsOf } from './forwarding.ts';
import type { Collection, Forwarding, LostMapping, Owner } from './forwarding.ts';
import { commentOf, CONTAINER_CHAINS, tableOf, tagOf } from './names.ts';
import { containerRules, frameChanges, meaningOf } from './rules.ts';

/**
 * Adds the mappings, all in one transaction. What stood in their places goes in it, and every rule that leads to
 * the pod's address: whoever had that address before is gone.
 */
export function addByNftables(nft: Nftables, forwarding: Forwarding): readonly LostMapping[] {
  return applied(nft, () =>
    targetsOf(forwarding).map((target) => plan(forwarding, target, nft.read(tableOf(target.family)))),
  );
}

/** Steps of a transaction, and the mappings that they take away. */
interface Plan {
  readonly changes: readonly Change[];
  readonly lost: readonly LostMapping[];
}

/** Pure: what is to be done for one family. */
function plan(forwarding: Forwarding, { ip, family }: Cidr, live: Table | undefined): Plan {
  const rules = containerRules(forwarding, ip);
  if (rules.length === 0) return { changes: [], lost: [] };
  const table = tableOf(family);
  const places = new Set(mappingsFor(forwarding.config, family).map(placeOf));
  const stale = liveRules(live).filter(({ rule }) => {
    const { target, mapping } = meaningOf(rule);
    if (target?.equals(ip) === true) return true;
    return mapping !== undefined && places.has(placeKey(mapping.protocol, mapping.hostPort, mapping.hostIp));
  });
  const general = new Set(
    liveRules(live).flatMap(({ rule }) => {
      const { mapping } = meaningOf(rule);
      return mapping === undefined || mapping.hostIp !== undefined
        ? []
        : [placeKey(mapping.protocol, mapping.hostPort, undefined)];
    }),
  );
  const added = rules.map(([chain, rule]): Change => {
    const { mapping } = meaningOf(rule);
    // In front of another container's rule for all addresses: the first that agrees counts.
    const shadowed =
      mapping?.hostIp !== undefined && general.has(placeKey(mapping.protocol, mapping.hostPort, undefined));
    return { do: shadowed ? 'insert rule' : 'add rule', table, chain, rule };
  });
  const { changes, lost } = removal(stale, table);
  return { changes: [...frameChanges(table, live), ...changes, ...added], lost };
}

/** Removes everything of the container, whatever it was mapped to. */
export function removeByNftables(nft: Nftables, owner: Owner): readonly LostMapping[] {
  const own = commentOf(owner);
  return removeWhere(nft, ({ comment }) => comment === own);
}

/**
 * Removes the network's rules whose container is not in `valid`. The Go plugin's do not say their network: of those go
 * the ones that name a dead container and lead to an address that it holds in this network.
 */
export function collectByNftables(
  nft: Nftables,
  { network, valid, dead }: Collection,
): readonly LostMapping[] {
  const own = tagOf(network);
  const comments = new Set([...valid].map((containerId) => commentOf({ containerId })));
  const held = new Set(dead.map((target) => `${commentOf(target)} ${target.ip}`));
  const named = new Set(dead.map(commentOf));
  return removeWhere(
    nft,
    ({ tag, comment = '' }) =>
      tag === undefined ? named.has(comment) : tag === own && !comments.has(comment),
    (rule) => rule.tag !== undefined || held.has(`${rule.comment} ${meaningOf(rule).target}`),
  );
}

/** Throws CniError 999 when a rule is missing. */
export function checkByNftables(nft: Nftables, forwarding: Forwarding): void {
  for (const { ip, family } of targetsOf(forwarding)) {
    const rules = containerRules(forwarding, ip);
    if (rules.length === 0) continue;
    const live = withNftLock(() => nft.read(tableOf(family)));
    for (const [chain, wanted] of rules) {
      const present = live?.chains.find(({ name }) => name === chain)?.rules ?? [];
      if (!present.some((entry) => sameRule(entry, wanted))) throw missing(`a rule for ${ip}`, chain);
    }
    if (frameChanges(tableOf(family), live).length > 0)
      throw missing('a jump to the mapped ports', 'prerouting');
  }
}

function missing(what: string, chain: string): CniError {
  return new CniError(CODE.INTERNAL, `CHECK: ${what} is missing in table cni_hostport chain ${chain}`);
}

function liveRules(live: Table | undefined): readonly PlacedRule[] {
  return CONTAINER_CHAINS.flatMap((chain) =>
    (live?.chains.find(({ name }) => name === chain)?.rules ?? []).map((rule) => ({ chain, rule })),
  );
}

function removal(rules: readonly PlacedRule[], table: TableKey): Plan {
  const changes: Change[] = [];
  const lost: LostMapping[] = [];
  for (const { chain, rule } of rules) {
    const { handle } = rule;
    if (handle === undefined) continue;
    changes.push({ do: 'delete rule', table, chain, handle });
    const { mapping } = meaningOf(rule);
    if (mapping !== undefined) lost.push(mapping);
  }
  return { changes, lost };
}

function removeWhere(
  nft: Nftables,
  wanted: (head: RuleHead) => boolean,
  confirmed: (rule: Rule) => boolean = () => true,
): readonly LostMapping[] {
  const containers: readonly string[] = CONTAINER_CHAINS;
  return applied(nft, () =>
    FAMILIES.map((family) => {
      const table = tableOf(family);
      const isWanted = (head: RuleHead) => containers.includes(head.chain) && wanted(head);
      return removal(
        withoutNfTables([], () => nft.rules(table, isWanted)).filter(({ rule }) => confirmed(rule)),
        table,
      );
    }),
  );
}

/**
 * Makes the plans of both families in one transaction, for each that deletes costs a wait; again from reading when
 * somebody else has removed a rule or the table meanwhile, or the kernel was busy.
 */
function applied(nft: Nftables, read: () => readonly Plan[]): readonly LostMapping[] {
  return inTurn(() => {
    const plans = read();
    nft.apply(plans.flatMap(({ changes }) => changes));
    return plans.flatMap(({ lost }) => lost);
  });
}
