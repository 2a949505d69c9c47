import { isObject, type Json, type JsonObject } from '../object.ts';
import { badRequest } from '../status.ts';

/** How a list field merges: as a set of plain values, or object by object where `key` has the same value. */
export type ListRule = { readonly set: true } | { readonly key: string; readonly items: MergeSchema };

/** Patch strategies of an object's fields. A list field without a rule is replaced as a whole. */
export interface MergeSchema {
  readonly lists?: Readonly<Record<string, ListRule>>;
  readonly fields?: Readonly<Record<string, MergeSchema>>;
}

const ORDER = '$setElementOrder/';
const DELETE = '$deleteFromPrimitiveList/';

/**
 * Strategic merge patch. Returns a new document; neither argument is changed. Throws 400 for a malformed patch.
 * Source: kubernetes/community `contributors/devel/sig-api-machinery/strategic-merge-patch.md`
 * (directives `$patch`, `$retainKeys`, `$setElementOrder`, `$deleteFromPrimitiveList`).
 */
export function strategicMerge(target: JsonObject, patch: JsonObject, schema: MergeSchema): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`unknown patch directive ${JSON.stringify(directive)}`);
  }
  const members = retained(target, patch);
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined || name.startsWith('$')) continue;
    if (value === null) members.delete(name);
    else members.set(name, mergeField(members.get(name), value, { name, schema, patch }));
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(DELETE)) without(members, name.slice(DELETE.length), listOf(value, name));
    // An order may come alone: the items it names are then only moved.
    if (name.startsWith(ORDER))
      reorder(members, { name: name.slice(ORDER.length), target, schema, order: listOf(value, name) });
  }
  return Object.fromEntries(members);
}

function retained(target: JsonObject, patch: JsonObject): Map<string, Json | undefined> {
  const members = new Map(Object.entries(target));
  const keep = patch['$retainKeys'];
  if (keep === undefined) return members;
  const names = new Set(listOf(keep, '$retainKeys'));
  for (const name of members.keys()) if (!names.has(name)) members.delete(name);
  return members;
}

interface Field {
  readonly name: string;
  readonly schema: MergeSchema;
  readonly patch: JsonObject;
}

function mergeField(current: Json | undefined, value: Json, field: Field): Json {
  if (isObject(value)) {
    return strategicMerge(isObject(current) ? current : {}, value, field.schema.fields?.[field.name] ?? {});
  }
  const rule = field.schema.lists?.[field.name];
  if (!Array.isArray(value) || rule === undefined) return value;
  const list = Array.isArray(current) ? current : [];
  if ('set' in rule) return [...list, ...value.filter((item) => !list.includes(item))];
  return mergeByKey(list, value, rule);
}

function keyOf(item: Json, key: string): Json {
  const value = isObject(item) ? item[key] : undefined;
  if (value === undefined)
    throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
  return value;
}

function mergeByKey(current: Json[], patch: Json[], rule: { key: string; items: MergeSchema }): Json[] {
  const directive = (item: Json) => (isObject(item) ? item['$patch'] : undefined);
  const replaces = patch.some((item) => directive(item) === 'replace');
  let result: Json[] = replaces ? [] : [...current];
  for (const item of patch) {
    if (directive(item) === 'replace') continue;
    const key = keyOf(item, rule.key);
    const same = (other: Json) => isObject(other) && other[rule.key] === key;
    if (directive(item) === 'delete') {
      result = result.filter((other) => !same(other));
      continue;
    }
    const at = result.findIndex(same);
    const old = result[at];
    const merged = strategicMerge(isObject(old) ? old : {}, item as JsonObject, rule.items);
    if (at < 0) result.push(merged);
    else result[at] = merged;
  }
  return result;
}

function without(members: Map<string, Json | undefined>, name: string, gone: Json[]): void {
  const list = members.get(name);
  if (Array.isArray(list))
    members.set(
      name,
      list.filter((item) => !gone.includes(item)),
    );
}

interface Reorder {
  readonly name: string;
  readonly target: JsonObject;
  readonly schema: MergeSchema;
  readonly order: Json[];
}

/** Items in `order` follow it; those the patch's author did not know stay before what they stood before. */
function reorder(members: Map<string, Json | undefined>, { name, target, schema, order }: Reorder): void {
  const rule = schema.lists?.[name];
  const list = members.get(name);
  if (rule === undefined || !Array.isArray(list)) return;
  const identity = (item: Json): Json | undefined =>
    'set' in rule ? item : isObject(item) ? item[rule.key] : undefined;
  const wanted = order.map(identity);
  const before = target[name];
  const live = Array.isArray(before) ? before.map(identity) : [];
  const known = list
    .filter((item) => wanted.includes(identity(item)))
    .sort((a, b) => wanted.indexOf(identity(a)) - wanted.indexOf(identity(b)));
  const others = list.filter((item) => !wanted.includes(identity(item)));
  const result: Json[] = [];
  for (const item of known) {
    const at = live.indexOf(identity(item));
    while (others[0] !== undefined && live.indexOf(identity(others[0])) < at)
      result.push(...others.splice(0, 1));
    result.push(item);
  }
  members.set(name, [...result, ...others]);
}

function listOf(value: Json | undefined, name: string): Json[] {
  if (!Array.isArray(value)) throw badRequest(`${name} must be a list`);
  return value;
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(patch).filter(([name, value]) => !name.startsWith('$') && value !== null),
  );
}
