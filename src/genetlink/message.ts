import type { ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import type { NetlinkMessage, NetlinkRequest } from '#netlink/message.ts';

/** `struct genlmsghdr` (`linux/genetlink.h`): command, version, two bytes reserved. */
const HEADER = 4;

/** One call of a generic netlink family. */
export interface GenericCall {
  readonly command: number;
  /** Of the family, as its header says. */
  readonly version: number;
  /** Names the operation for errors. */
  readonly what: string;
  /** Writes the attributes. */
  readonly write: (out: ByteWriter) => void;
}

/** The netlink request of a call; `family` is the number that the kernel has given to the family. */
export function genericRequest(
  family: number,
  { command, version, what, write }: GenericCall,
): NetlinkRequest {
  return {
    type: family,
    flags: 0,
    what,
    write(out) {
      out.u8(command).u8(version).u16(0);
      write(out);
    },
  };
}

export interface GenericMessage {
  readonly command: number;
  /** A view, valid until the next receive. */
  readonly attributes: Uint8Array;
  /** Where the attributes begin, for errors. */
  readonly at: { readonly path: string; readonly offset: number };
}

/** Takes a message of a family apart. Throws DecodeError when it has no header. */
export function readGeneric({ payload }: NetlinkMessage): GenericMessage {
  const command = payload[0];
  if (command === undefined || payload.length < HEADER)
    throw new DecodeError(
      'generic netlink',
      0,
      `a message of ${payload.length} bytes, shorter than its header`,
    );
  return { command, attributes: payload.subarray(HEADER), at: { path: '', offset: HEADER } };
}
