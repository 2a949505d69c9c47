import type { JsonObject } from '../object.ts';
import { bytesField, encodeMessage, fieldHeader } from './encode.ts';
import { LIST_META, SHAPES } from './shapes.ts';

export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** True when objects of this kind have a form in protobuf here. */
export function speaksProtobuf(kind: string): boolean {
  return SHAPES.has(kind);
}

const encoder = new TextEncoder();
const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

/** An object of a kind in `SHAPES`, without the envelope. */
export function messageBytes(kind: string, object: JsonObject): Uint8Array {
  const shape = SHAPES.get(kind);
  return shape === undefined ? new Uint8Array(0) : encodeMessage(object, shape);
}

/** What is in front of the object in an envelope (`runtime.Unknown`): magic, kind and version, the object's length. */
function envelopeHead(kind: string, apiVersion: string, length: number): Uint8Array {
  const typeMeta = Buffer.concat([
    bytesField(1, encoder.encode(apiVersion)),
    bytesField(2, encoder.encode(kind)),
  ]);
  return Buffer.concat([MAGIC, bytesField(1, typeMeta), fieldHeader(2, length)]);
}

/** The envelope's last fields, contentEncoding and contentType, which are empty. */
const TAIL = Uint8Array.of(0x1a, 0x00, 0x22, 0x00);

export function envelope(kind: string, apiVersion: string, message: Uint8Array): Uint8Array {
  return Buffer.concat([envelopeHead(kind, apiVersion, message.length), message, TAIL]);
}

/** A list of messages in an envelope, in one piece. */
export function listBytes(
  type: { readonly kind: string; readonly apiVersion: string },
  metadata: JsonObject,
  items: readonly Uint8Array[],
): Uint8Array {
  const head = bytesField(1, encodeMessage(metadata, LIST_META));
  const headers = items.map((item) => fieldHeader(2, item.length));
  let length = head.length;
  for (const [at, item] of items.entries()) length += (headers[at]?.length ?? 0) + item.length;
  const front = envelopeHead(type.kind, type.apiVersion, length);
  const body = new Uint8Array(front.length + length + TAIL.length);
  body.set(front);
  body.set(head, front.length);
  let at = front.length + head.length;
  for (const [index, item] of items.entries()) {
    const header = headers[index];
    if (header !== undefined) body.set(header, at);
    at += header?.length ?? 0;
    body.set(item, at);
    at += item.length;
  }
  body.set(TAIL, at);
  return body;
}

/** A watch event around an object in its envelope: `meta/v1 WatchEvent` behind its length. */
export function eventFrame(type: string, object: Uint8Array): Uint8Array {
  return framed(Buffer.concat([bytesField(1, encoder.encode(type)), bytesField(2, bytesField(1, object))]));
}

/** Bytes behind their length, four bytes in network order. */
export function framed(content: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(4 + content.length);
  frame.writeUInt32BE(content.length);
  frame.set(content, 4);
  return frame;
}
