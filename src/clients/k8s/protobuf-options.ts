import type { MessageShape } from './protobuf.ts';
import type { Selection } from './selection.ts';

export interface ProtobufOptions {
  /** The object's shape: of a list's items, of a watch's objects. */
  readonly shape: MessageShape;
  /** What of the object is wanted, by its names in JSON. */
  readonly select: Selection;
  /** Longest object, bytes; default 8 MiB. The API server itself takes requests of 3 MiB at most. */
  readonly maxObject?: number;
}

/** The default of `maxObject`. */
export const MAX_OBJECT: number = 8 << 20;
