import { prefixOf, type Entry } from './collection.ts';
import type { Page } from './list.ts';
import type { JsonObject } from './object.ts';
import { envelope, listBytes, messageBytes, PROTOBUF, speaksProtobuf } from './protobuf/wire.ts';
import { apiVersionOf, type Resource } from './resources.ts';
import { notAcceptable } from './status.ts';
import { partial, table } from './table.ts';

const encoder = new TextEncoder();

/** How the client wants objects: themselves, as table rows, or their metadata alone. */
export type Form = 'object' | 'table' | 'metadata';

export interface Representation {
  readonly form: Form;
  /** How objects are written; the other forms are JSON. */
  readonly wire: 'json' | 'protobuf';
  readonly include: string;
}

const FORMS: Partial<Record<string, Form>> = {
  Table: 'table',
  PartialObjectMetadata: 'metadata',
  PartialObjectMetadataList: 'metadata',
};

/**
 * Chooses by the Accept header: the first clause that this server can serve. Protobuf it speaks for `kind` Node alone: of other
 * kinds protobuf alone gets 406, protobuf with JSON as the second choice (client-go) gets JSON.
 */
export function negotiate(accept: string | undefined, include: string, kind: string): Representation {
  const whole: Representation = { form: 'object', wire: 'json', include };
  if (accept === undefined || accept.trim() === '') return whole;
  for (const clause of accept.split(',')) {
    const [type = '', ...rest] = clause.split(';').map((part) => part.trim());
    if (type === '*/*' || type === 'application/*') return whole;
    const parameters = new Map(rest.map((part) => part.split('=', 2) as [string, string]));
    const as = parameters.get('as');
    if (type === PROTOBUF && as === undefined && speaksProtobuf(kind)) return { ...whole, wire: 'protobuf' };
    if (type !== 'application/json') continue;
    if (as === undefined) return whole;
    const form = FORMS[as];
    if (form !== undefined && parameters.get('g') === 'meta.k8s.io') return { form, wire: 'json', include };
  }
  throw notAcceptable('application/json');
}

/** The Content-Type of an answer, or of a watch. */
export function contentTypeOf({ wire }: Representation, watch = false): string {
  if (wire === 'json') return 'application/json';
  return watch ? `${PROTOBUF};stream=watch` : PROTOBUF;
}

/** An object that is not stored, in the form of the answer. */
export function anyBytes(
  object: JsonObject & { readonly kind: string; readonly apiVersion: string },
  wire: Representation['wire'],
): Uint8Array {
  if (wire === 'json') return jsonBytes(object);
  return envelope(object.kind, object.apiVersion, messageBytes(object.kind, object));
}

export function jsonBytes(value: JsonObject): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

export interface Formatter {
  readonly resource: Resource;
  readonly representation: Representation;
  /** Wall clock, ms. */
  readonly now: number;
}

/** One object's answer. */
export function objectBytes(entry: Entry, formatter: Formatter): Uint8Array {
  const { form, wire, include } = formatter.representation;
  if (form === 'object') return wire === 'protobuf' ? entry.enveloped : entry.bytes;
  if (form === 'metadata') return jsonBytes(partial(entry.object));
  const { resource, now } = formatter;
  const metadata = { resourceVersion: String(entry.version) };
  return jsonBytes(table({ resource, objects: [entry.object], metadata, include, now }));
}

/** A list's answer. Items of a plain list go without kind and apiVersion, as on real servers. */
export function pageBytes(page: Page, formatter: Formatter): Uint8Array {
  const { resource, representation, now } = formatter;
  const metadata: JsonObject = {
    resourceVersion: String(page.version),
    ...(page.continueToken === undefined ? {} : { continue: page.continueToken }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  if (representation.wire === 'protobuf') {
    const type = { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource) };
    return listBytes(
      type,
      metadata,
      page.entries.map((entry) => entry.protobuf),
    );
  }
  if (representation.form === 'object') return plainList(page.entries, resource, metadata);
  const objects = page.entries.map((entry) => entry.object);
  if (representation.form === 'table')
    return jsonBytes(table({ resource, objects, metadata, include: representation.include, now }));
  return jsonBytes({
    kind: 'PartialObjectMetadataList',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    items: objects.map(partial),
  });
}

function plainList(entries: readonly Entry[], resource: Resource, metadata: JsonObject): Uint8Array {
  const head = { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata };
  const open = encoder.encode(`${JSON.stringify(head).slice(0, -1)},"items":[`);
  const close = encoder.encode(']}\n');
  const skip = prefixOf(resource).length;
  let length = open.length + close.length + Math.max(0, entries.length - 1);
  for (const entry of entries) length += entry.bytes.length - skip + 1;
  const body = new Uint8Array(length);
  body.set(open);
  let at = open.length;
  for (const [index, entry] of entries.entries()) {
    if (index > 0) body[at++] = 0x2c;
    body[at] = 0x7b;
    body.set(entry.bytes.subarray(skip), at + 1);
    at += entry.bytes.length - skip + 1;
  }
  body.set(close, at);
  return body;
}
