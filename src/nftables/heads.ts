import { hasErrno } from '#base/errors.ts';
import { attributeTable, be64, text } from '#netlink/attribute.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import type { NetlinkMessage, NetlinkRequest } from '#netlink/message.ts';
import type { RuleHead, TableKey } from './objects.ts';
import { ruleUserdata } from './userdata.ts';
import { ATTRIBUTES_AT, NFT_MSG, readHeader, writeHeader } from './wire.ts';

// What can be asked of a ruleset without knowing what rules say: a program that only wants to know whether something of its
// own is there loads this much and no more.

/** `enum nft_chain_attributes`, what names a chain. */
const chainKeyTable = attributeTable('chain', { table: [1, text], name: [3, text] }, 'drop');
/** `enum nft_rule_attributes` without what a rule does, which is the most of it. */
const ruleHeadTable = attributeTable(
  'rule',
  { table: [1, text], chain: [2, text], handle: [3, be64], userdata: [7, ruleUserdata] },
  'drop',
);

/** One chain; ENOENT when there is none of that name. */
function getChain({ family, name: table }: TableKey, name: string): NetlinkRequest {
  return {
    type: NFT_MSG.GETCHAIN,
    flags: 0,
    what: `list chain ${family} ${table} ${name}`,
    write(out) {
      writeHeader(out, family);
      chainKeyTable.write(out, { table, name });
    },
  };
}

/** The rules of one table. */
export function getRules({ family, name: table }: TableKey): NetlinkRequest {
  return {
    type: NFT_MSG.GETRULE,
    flags: 0,
    what: `list the rules of table ${family} ${table}`,
    write(out) {
      writeHeader(out, family);
      ruleHeadTable.write(out, { table });
    },
  };
}

/** What a rule of table `key` is known by; undefined when it belongs to another. */
export function readRuleHead(key: TableKey, { payload }: NetlinkMessage): RuleHead | undefined {
  const { family, attributes } = readHeader(payload);
  if (family !== key.family) return undefined;
  const { table, chain = '', handle, userdata } = ruleHeadTable.read(attributes, ATTRIBUTES_AT);
  if (table !== key.name) return undefined;
  const comment = userdata?.comment === '' ? undefined : userdata?.comment;
  return { chain, handle, comment, tag: userdata?.tag };
}

/** The heads of a table's rules, those that `wanted` is true of; none when there is no such table. */
export function ruleHeads(
  connection: NetlinkConnection,
  key: TableKey,
  wanted: (head: RuleHead) => boolean,
): RuleHead[] {
  return connection.dump(getRules(key), (message) => {
    const head = readRuleHead(key, message);
    return head !== undefined && wanted(head) ? head : undefined;
  });
}

/** Whether a table has a chain, without reading the table: it may be another program's, with thousands of rules. */
export function hasChain(connection: NetlinkConnection, key: TableKey, name: string): boolean {
  try {
    return connection.get(getChain(key, name), () => true);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
