import type { ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { attributeTable, be32, be64, listOf, raw, text, type Codec } from '#netlink/attribute.ts';
import { NLM_F, type NetlinkMessage, type NetlinkRequest } from '#netlink/message.ts';
import { expressionCodec } from './expression.ts';
import {
  HOOK_POINT,
  type BaseHook,
  type ChainHead,
  type ChainType,
  type ForwardDrop,
  type Rule,
  type TableKey,
} from './objects.ts';
import { commentUserdata, ruleUserdata } from './userdata.ts';
import { ATTRIBUTES_AT, nameOf, NFT_MSG, readHeader, writeHeader, type TableFamily } from './wire.ts';

/** NFT_TABLE_F_DORMANT. */
const DORMANT = 1;
/** NF_DROP, NF_ACCEPT as chain policies. */
const POLICY = { drop: 0, accept: 1 } as const;
/** NFTA_LIST_ELEM. */
const ELEMENT = 1;

/** A priority: signed, in network order. */
const signedBe32: Codec<number> = {
  write: (out, value) => out.be32(value >>> 0),
  read: (bytes, at) => be32.read(bytes, at) | 0,
};

/** `enum nft_table_attributes` */
const tableTable = attributeTable('table', {
  name: [1, text],
  flags: [2, be32],
  comment: [6, commentUserdata],
});
/** `enum nft_hook_attributes` */
const hookTable = attributeTable('hook', { point: [1, be32], priority: [2, signedBe32] });
/** `enum nft_chain_attributes` */
const chainTable = attributeTable('chain', {
  table: [1, text],
  name: [3, text],
  type: [7, text],
  policy: [5, be32],
  hook: [4, hookTable],
  comment: [12, commentUserdata],
});
/** `enum nft_rule_attributes` */
const ruleTable = attributeTable('rule', {
  table: [1, text],
  chain: [2, text],
  handle: [3, be64],
  expressions: [4, listOf(expressionCodec, ELEMENT)],
  userdata: [7, ruleUserdata],
});
/** Attribute 1 of every nf_tables object but a generation: its table's name. */
const nameTable = attributeTable('object', { table: [1, text], second: [2, raw] });

/** `add table <family> <name>`. An existing one stays as it is. */
export function newTable(key: TableKey, comment?: string): NetlinkRequest {
  return {
    ...request(NFT_MSG.NEWTABLE, NLM_F.CREATE, `add table ${key.family} ${key.name}`),
    write: attributes(key.family, (out) => tableTable.write(out, { name: key.name, comment })),
  };
}

/** `delete table <family> <name>` with everything in it. */
export function delTable(key: TableKey): NetlinkRequest {
  return {
    ...request(NFT_MSG.DELTABLE, 0, `delete table ${key.family} ${key.name}`),
    write: attributes(key.family, (out) => tableTable.write(out, { name: key.name })),
  };
}

/** `add chain <family> <table> <name> { type … hook … priority …; policy …; }` */
export function newChain(key: TableKey, chain: ChainHead): NetlinkRequest {
  const { name, comment, hook } = chain;
  const values = {
    table: key.name,
    name,
    comment,
    type: hook?.type,
    policy: hook === undefined ? undefined : POLICY[hook.policy],
    hook: hook === undefined ? undefined : { point: HOOK_POINT[hook.point], priority: hook.priority },
  };
  return {
    ...request(NFT_MSG.NEWCHAIN, NLM_F.CREATE, `add chain ${key.family} ${key.name} ${name}`),
    write: attributes(key.family, (out) => chainTable.write(out, values)),
  };
}

/** `delete chain`: it must be empty and nobody may jump to it. */
export function delChain(key: TableKey, name: string): NetlinkRequest {
  return {
    ...request(NFT_MSG.DELCHAIN, 0, `delete chain ${key.family} ${key.name} ${name}`),
    write: attributes(key.family, (out) => chainTable.write(out, { table: key.name, name })),
  };
}

/** `add rule` (at the end) or `insert rule` (in front). */
export function newRule(key: TableKey, chain: string, rule: Rule, where: 'end' | 'front'): NetlinkRequest {
  const flags = NLM_F.CREATE | (where === 'end' ? NLM_F.APPEND : 0);
  const { expressions, comment, tag } = rule;
  const userdata = comment === undefined && tag === undefined ? undefined : { comment, tag };
  return {
    ...request(NFT_MSG.NEWRULE, flags, `add a rule to chain ${key.family} ${key.name} ${chain}`),
    write: attributes(key.family, (out) =>
      ruleTable.write(out, { table: key.name, chain, expressions, userdata }),
    ),
  };
}

/** `delete rule … handle <handle>`; without a handle `flush chain`. */
export function delRule(key: TableKey, chain: string, handle?: bigint): NetlinkRequest {
  const what = handle === undefined ? 'flush chain' : 'delete a rule of chain';
  return {
    ...request(NFT_MSG.DELRULE, 0, `${what} ${key.family} ${key.name} ${chain}`),
    write: attributes(key.family, (out) => ruleTable.write(out, { table: key.name, chain, handle })),
  };
}

/** One table; ENOENT when there is none of that name. */
export function getTable(key: TableKey): NetlinkRequest {
  return {
    ...request(NFT_MSG.GETTABLE, 0, `list table ${key.family} ${key.name}`),
    write: attributes(key.family, (out) => tableTable.write(out, { name: key.name })),
  };
}

/** `list tables` of one family. */
export function getTables(family: TableFamily): NetlinkRequest {
  return { ...request(NFT_MSG.GETTABLE, 0, `list tables ${family}`), write: attributes(family, () => {}) };
}

/** The chains of one table. Older kernels answer with all of the family: the reader sorts them out. */
export function getChains(key: TableKey): NetlinkRequest {
  return {
    ...request(NFT_MSG.GETCHAIN, 0, `list the chains of table ${key.family} ${key.name}`),
    write: attributes(key.family, (out) => chainTable.write(out, { table: key.name })),
  };
}

/** The chains of all tables of all families. */
export function getAllChains(): NetlinkRequest {
  return { ...request(NFT_MSG.GETCHAIN, 0, 'list chains'), write: attributes(undefined, () => {}) };
}

export function readTable(message: NetlinkMessage): (TableKey & TableRest) | undefined {
  const { family, attributes } = readHeader(message.payload);
  if (family === undefined) return undefined;
  const { name = '', flags = 0, comment } = tableTable.read(attributes, ATTRIBUTES_AT);
  return { family, name, comment: commentOf(comment), dormant: (flags & DORMANT) !== 0 };
}

interface TableRest {
  readonly comment: string | undefined;
  readonly dormant: boolean;
}

/** A chain of table `key`; undefined when it belongs to another. */
export function readChain(key: TableKey, message: NetlinkMessage): ChainHead | undefined {
  const { family, attributes } = readHeader(message.payload);
  if (family !== key.family || tableOf(attributes) !== key.name) return undefined;
  const chain = chainTable.read(attributes, ATTRIBUTES_AT);
  const { name = '', comment, type, policy, hook } = chain;
  return {
    name,
    comment: commentOf(comment),
    hook: hook === undefined ? undefined : readHook(type, policy, hook),
  };
}

/** A chain that drops those forwarded packets that none of its rules accepts; undefined for every other chain. */
export function readForwardDrop(message: NetlinkMessage): ForwardDrop | undefined {
  const { family, attributes } = readHeader(message.payload);
  if (family === undefined || family === 'bridge') return undefined;
  const { table = '', name = '', policy, hook } = chainTable.read(attributes, ATTRIBUTES_AT);
  const drops = hook?.point === HOOK_POINT.forward && policy === POLICY.drop;
  return drops ? { family, table, chain: name } : undefined;
}

function readHook(
  type: string | undefined,
  policy: number | undefined,
  hook: { readonly point?: number | undefined; readonly priority?: number | undefined },
): BaseHook {
  const point = nameOf(HOOK_POINT, hook.point ?? -1);
  const kind = nameOf(POLICY, policy ?? POLICY.accept);
  const known = (['filter', 'nat', 'route'] as const).find((name): name is ChainType => name === type);
  if (point === undefined || kind === undefined || known === undefined) {
    throw new DecodeError('nf_tables.chain.hook', ATTRIBUTES_AT.offset, `type ${type} hook ${hook.point}`);
  }
  return { type: known, point, priority: hook.priority ?? 0, policy: kind };
}

/** A rule of table `key` with its chain; undefined when it belongs to another. */
export function readRule(
  key: TableKey,
  message: NetlinkMessage,
): { readonly chain: string; readonly rule: Rule } | undefined {
  const { family, attributes } = readHeader(message.payload);
  if (family !== key.family || tableOf(attributes) !== key.name) return undefined;
  const { chain = '', handle, expressions = [], userdata } = ruleTable.read(attributes, ATTRIBUTES_AT);
  const tag = userdata?.tag === undefined ? {} : { tag: userdata.tag };
  return { chain, rule: { expressions, comment: commentOf(userdata?.comment), ...tag, handle } };
}

/** Name of the table that an object belongs to. */
export function tableOf(attributes: Uint8Array): string | undefined {
  return nameTable.read(attributes, ATTRIBUTES_AT).table;
}

function commentOf(comment: string | undefined): string | undefined {
  return comment === '' ? undefined : comment;
}

function request(type: number, flags: number, what: string): Omit<NetlinkRequest, 'write'> {
  return { type, flags, what };
}

function attributes(
  family: TableFamily | undefined,
  write: (out: ByteWriter) => void,
): NetlinkRequest['write'] {
  return (out) => {
    writeHeader(out, family);
    write(out);
  };
}
