import { keyOf, type Collection, type Entry } from './collection.ts';
import { badRequest, expired, invalid, tooLargeVersion } from './status.ts';
import { parseSelectors, type Predicate } from './selector.ts';

/** One page of a list. */
export interface Page {
  /** The revision that all pages of the list show. */
  readonly version: number;
  readonly entries: readonly Entry[];
  readonly continueToken: string | undefined;
  /** How many objects are behind this page; unknown with a selector. */
  readonly remaining: number | undefined;
}

interface Token {
  /** The list's revision; -1 in a token that gives up consistency. */
  readonly rv: number;
  /** Key of the last entry handed out. */
  readonly after: string;
}

function encodeToken(token: Token): string {
  return Buffer.from(
    JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.rv, start: `${token.after}\u0000` }),
  ).toString('base64url');
}

function decodeToken(text: string): Token {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
    if (v === 'meta.k8s.io/v1' && typeof rv === 'number' && typeof start === 'string')
      return { rv, after: start.replace(/\0$/, '') };
  } catch {
    // The same answer as for a token that parses to something else.
  }
  throw badRequest('continue key is not valid');
}

/** A revision in a query: digits; undefined for absent or empty. Throws 400. */
export function parseVersion(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value: ${JSON.stringify(text)}: resourceVersion is not a number`);
  return Number(text);
}

function parseLimit(text: string | null): number {
  if (text === null || text === '') return 0;
  if (!/^-?\d{1,15}$/.test(text))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Math.max(0, Number(text));
}

/** Which snapshot a list reads, and after which key. */
interface Start {
  readonly version: number;
  readonly entries: readonly Entry[];
  readonly after: string | undefined;
  readonly limit: number;
}

/**
 * A list request's page. `namespace` undefined means all.
 * Source: kubernetes.io "API concepts", resource versions and chunked lists. Throws 400, 410, 422, 504.
 */
export function listPage(
  collection: Collection,
  query: URLSearchParams,
  namespace: string | undefined,
): Page {
  const predicate = parseSelectors(query, collection.resource);
  const start = startOf(collection, query);
  let { entries } = start;
  if (start.after !== undefined) entries = entries.slice(firstAfter(entries, start.after));
  if (namespace !== undefined)
    entries = entries.filter((entry) => entry.key.startsWith(keyOf(namespace, '')));
  const chosen = choose(entries, predicate, start.limit);
  const last = chosen.list.at(-1);
  const more = chosen.next < entries.length && last !== undefined;
  return {
    version: start.version,
    entries: chosen.list,
    continueToken: more ? encodeToken({ rv: start.version, after: last.key }) : undefined,
    remaining: more && predicate === undefined ? entries.length - chosen.next : undefined,
  };
}

function startOf(collection: Collection, query: URLSearchParams): Start {
  const token = query.get('continue') ?? '';
  const current = collection.revision.current;
  const latest: Start = {
    version: current,
    entries: collection.entries(),
    after: undefined,
    limit: parseLimit(query.get('limit')),
  };
  const asked = parseVersion(query.get('resourceVersion'));
  const match = query.get('resourceVersionMatch') ?? '';
  checkMatch({ match, asked, token });
  if (token !== '') return continued(collection, latest, decodeToken(token));
  if (asked === undefined) return latest;
  // Answered from the watch cache, which knows no pages: the limit is ignored, as on real servers.
  if (asked === 0) return { ...latest, limit: 0 };
  if (asked > current) throw tooLargeVersion(asked, current);
  // A limit with a revision and without a match rule means that very revision (the legacy rule).
  const exact = match === 'Exact' || (match === '' && latest.limit > 0);
  if (!exact) return latest;
  const entries = collection.at(asked);
  if (entries === undefined) throw expired(`The resourceVersion for the provided list is too old.`);
  return { ...latest, version: asked, entries };
}

function continued(collection: Collection, latest: Start, token: Token): Start {
  if (token.rv < 0) return { ...latest, after: token.after };
  const entries = collection.at(token.rv);
  if (entries === undefined || token.rv > latest.version) {
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
        'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
        'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
        'deleted between the time the first chunk was returned and now may show up in the list.',
      encodeToken({ rv: -1, after: token.after }),
    );
  }
  return { ...latest, version: token.rv, entries, after: token.after };
}

/** Rules of `ValidateListOptions` in apimachinery. */
function checkMatch(given: { match: string; asked: number | undefined; token: string }): void {
  const subject = { plural: 'ListOptions', group: 'meta.k8s.io', kind: 'ListOptions', name: '' };
  const refuse = (field: string, why: string) => invalid(subject, field, why);
  if (given.token !== '' && given.asked !== undefined && given.asked !== 0) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  if (given.match === '') return;
  if (given.token !== '')
    throw refuse(
      'resourceVersionMatch',
      'Forbidden: resourceVersionMatch is forbidden when continue is provided',
    );
  if (given.asked === undefined)
    throw refuse(
      'resourceVersionMatch',
      'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    );
  if (given.match !== 'Exact' && given.match !== 'NotOlderThan')
    throw refuse(
      'resourceVersionMatch',
      `Unsupported value: ${JSON.stringify(given.match)}: supported values: "Exact", "NotOlderThan", ""`,
    );
  if (given.match === 'Exact' && given.asked === 0)
    throw refuse(
      'resourceVersionMatch',
      'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"',
    );
}

/** Up to `limit` entries (0: all) that match, and the index of the first one not looked at. */
function choose(
  entries: readonly Entry[],
  predicate: Predicate | undefined,
  limit: number,
): { list: readonly Entry[]; next: number } {
  if (predicate === undefined) {
    const end = limit === 0 ? entries.length : Math.min(limit, entries.length);
    return { list: end === entries.length ? entries : entries.slice(0, end), next: end };
  }
  const list: Entry[] = [];
  let next = 0;
  for (const entry of entries) {
    if (limit > 0 && list.length === limit) break;
    next += 1;
    if (predicate(entry.object)) list.push(entry);
  }
  return { list, next };
}

/** Index of the first entry whose key is greater, by bisection. */
function firstAfter(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = entries[middle];
    if (at !== undefined && at.key <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
