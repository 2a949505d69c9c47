import { badRequest } from './status.ts';
import { textAt, type KubeObject } from './object.ts';
import type { Resource } from './resources.ts';

/** True for the objects that a list or watch asks for. */
export type Predicate = (object: KubeObject) => boolean;

type LabelTest = (labels: Readonly<Record<string, string>>) => boolean;

const KEY = String.raw`[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?`;
const IN = new RegExp(`^(${KEY})\\s+(in|notin)\\s+\\(([^()]*)\\)$`);
const EQUALS = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*([\\w.-]*)$`);
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`);

/** Label selector syntax of `kubectl -l`: equality, sets, existence; a comma means and. Throws 400. */
function parseLabels(text: string): LabelTest[] {
  // A comma inside parentheses separates values, not requirements.
  return text.split(/,(?![^(]*\))/).map((part) => parseLabel(part.trim()));
}

function parseLabel(text: string): LabelTest {
  const inMatch = IN.exec(text);
  if (inMatch !== null) {
    const [, key = '', operator, list = ''] = inMatch;
    const values = new Set(list.split(',').map((value) => value.trim()));
    const has = (labels: Readonly<Record<string, string>>) => values.has(labels[key] ?? '') && key in labels;
    return operator === 'in' ? has : (labels) => !has(labels);
  }
  const equals = EQUALS.exec(text);
  if (equals !== null) {
    const [, key = '', operator, value] = equals;
    return operator === '!=' ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const exists = EXISTS.exec(text);
  if (exists === null) throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`);
  const [, not, key = ''] = exists;
  return (labels) => Object.hasOwn(labels, key) === (not === '');
}

/** Field selector: `path=value`, `path==value`, `path!=value`, a comma means and. Throws 400 for an unknown path. */
function parseFields(text: string, resource: Resource): Predicate[] {
  return text.split(',').map((part) => {
    const [, path = '', operator = '', value = ''] = /^([\w.]+)(!=|==|=)(.*)$/.exec(part.trim()) ?? [];
    if (operator === '') throw badRequest(`invalid selector: ${JSON.stringify(part)}; can't understand it`);
    const known =
      path === 'metadata.name' || path === 'metadata.namespace' || Object.hasOwn(resource.fields, path);
    if (!known) throw badRequest(`field label not supported: ${path}`);
    const absent = resource.fields[path] ?? '';
    return (object) => ((textAt(object, path) ?? absent) === value) === (operator !== '!=');
  });
}

/** The predicate of both selectors; undefined when neither restricts anything. */
export function parseSelectors(query: URLSearchParams, resource: Resource): Predicate | undefined {
  const labels = query.get('labelSelector') ?? '';
  const fields = query.get('fieldSelector') ?? '';
  const tests: Predicate[] = fields === '' ? [] : parseFields(fields, resource);
  if (labels !== '') {
    for (const test of parseLabels(labels)) tests.push((object) => test(object.metadata.labels ?? {}));
  }
  return tests.length === 0 ? undefined : (object) => tests.every((test) => test(object));
}
