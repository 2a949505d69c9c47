import { isObject, type Json } from '../object.ts';

/** JSON merge patch, RFC 7386. Returns a new document; neither argument is changed. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const members = new Map<string, Json | undefined>(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || value === undefined) members.delete(key);
    else members.set(key, mergePatch(members.get(key), value));
  }
  // fromEntries defines own members, so that a key `__proto__` stays data.
  return Object.fromEntries(members);
}
