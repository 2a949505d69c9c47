import { JsonPruner } from './json-pruner.ts';
import type { MessageShape } from './protobuf.ts';
import { ProtobufList } from './protobuf-list.ts';
import { ProtobufWatch } from './protobuf-watch.ts';
import { ALL, members, type Selection } from './selection.ts';

/** Takes an answer while it streams in. Both throw JsonError or ProtobufError. */
export interface AnswerReader {
  push(chunk: Uint8Array): void;
  /** Call at the end of the stream; false when it stopped in the middle. */
  complete(): boolean;
}

/** What is read out of the objects of an answer. */
export interface Wanted {
  readonly select: Selection;
  /** How the object looks in protobuf; without it JSON is asked for. */
  readonly shape?: MessageShape;
}

/** The head of a list: its `metadata`, and `items`, empty, when it is a list. */
export interface ListReader extends AnswerReader {
  readonly root: unknown;
}

const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** The Accept header: servers that do not speak protobuf (or a proxy in between) answer in JSON. */
export function acceptHeader(protobuf: boolean): string {
  return protobuf ? `${PROTOBUF}, application/json` : 'application/json';
}

/** True when the headers announce protobuf, of a watch, too (`;stream=watch`). */
export function isProtobuf(headers: Headers): boolean {
  const type = headers.get('content-type') ?? '';
  return type.split(';', 1)[0]?.trim().toLowerCase() === PROTOBUF;
}

/** Reads a list in the form that the answer has. */
export function listReader(
  { select, shape }: Wanted,
  protobuf: boolean,
  onItem: (item: unknown) => void,
): ListReader {
  if (protobuf && shape !== undefined) return new ProtobufList({ shape, select, onItem });
  const metadata = members({ resourceVersion: ALL, continue: ALL });
  const selection = members({ kind: ALL, metadata, items: { kind: 'each', item: select } });
  let root: unknown;
  const onValue = (value: unknown): void => {
    root = value;
  };
  const pruner = new JsonPruner({ selection, onItem, onValue });
  return {
    push: (chunk) => pruner.push(chunk),
    complete: () => pruner.complete(),
    get root() {
      return root;
    },
  };
}

/** Reads a watch in the form that the answer has; `onValue` gets `{type, object}`, of an ERROR event with a Status. */
export function watchReader(
  { select, shape }: Wanted,
  protobuf: boolean,
  onValue: (event: unknown) => void,
): AnswerReader {
  if (protobuf && shape !== undefined) return new ProtobufWatch({ shape, select, onValue });
  return new JsonPruner({ selection: members({ type: ALL, object: orStatus(select) }), onValue });
}

/** The selection of an event's object, which is a Status in an ERROR event. */
function orStatus(select: Selection): Selection {
  if (select.kind !== 'members') return ALL;
  const status = new Map(['code', 'reason', 'message', 'details'].map((key) => [key, ALL] as const));
  return { kind: 'members', member: (key) => select.member(key) ?? status.get(key) };
}
