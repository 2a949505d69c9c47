import { readI32, readU16, readU32, type ByteWriter } from '#base/bytes.ts';
import { DecodeError, ErrnoError, type ErrorDetails } from '#base/errors.ts';
import { attributeTable, text, u32 } from './attribute.ts';

/** Bytes of `struct nlmsghdr` (`linux/netlink.h`). */
export const HEADER_LENGTH = 16;

/** Message types below NLMSG_MIN_TYPE. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const;

/** `nlmsg_flags`. ROOT/MATCH belong to GET, REPLACE..APPEND to NEW requests. */
export const NLM_F = {
  REQUEST: 0x01,
  MULTI: 0x02,
  ACK: 0x04,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const;

/** One received message. `payload` is a view into the receive buffer, valid until the next receive. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** One message to send. `what` names the operation for errors, e.g. `create link flannel.1`. */
export interface NetlinkRequest {
  readonly type: number;
  /** Besides REQUEST and ACK, which the connection adds. */
  readonly flags: number;
  readonly what: string;
  /** Writes the family header and the attributes. */
  readonly write: (out: ByteWriter) => void;
}

/** Appends one framed message to `out`. */
export function writeMessage(
  out: ByteWriter,
  request: NetlinkRequest,
  sequence: number,
  extraFlags: number,
): void {
  const start = out.length;
  out
    .u32(0)
    .u16(request.type)
    .u16(request.flags | NLM_F.REQUEST | extraFlags)
    .u32(sequence)
    .u32(0);
  request.write(out);
  out.patchU32(start, out.length - start);
  out.align(4);
}

/** Calls `each` for every message of one datagram. */
export function forEachMessage(bytes: Uint8Array, each: (message: NetlinkMessage) => void): void {
  let offset = 0;
  while (offset + HEADER_LENGTH <= bytes.length) {
    const length = readU32(bytes, offset);
    if (length < HEADER_LENGTH || offset + length > bytes.length) {
      throw new DecodeError('netlink', offset, `message length ${length} leads outside the datagram`);
    }
    each({
      type: readU16(bytes, offset + 4),
      flags: readU16(bytes, offset + 6),
      sequence: readU32(bytes, offset + 8),
      payload: bytes.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += (length + 3) & ~3;
  }
}

/** The kernel's "no" to a netlink request, with the words of its extended ACK. */
export class NetlinkError extends ErrnoError {
  override readonly name = 'NetlinkError';
  /** NLMSGERR_ATTR_MSG, when the kernel said why. */
  readonly extack: string | undefined;
  /** NLMSGERR_ATTR_OFFS: byte offset in the request of the attribute it did not like. */
  readonly badOffset: number | undefined;

  constructor(what: string, errno: number, ack: Extack = {}, details: ErrorDetails = {}) {
    super(what, errno, ack.message ?? '', details);
    this.extack = ack.message;
    this.badOffset = ack.offset;
  }
}

interface Extack {
  readonly message?: string | undefined;
  readonly offset?: number | undefined;
}

/** `enum nlmsgerr_attrs`. */
const extackTable = attributeTable('extack', { message: [1, text], offset: [2, u32] });

/** Reads NLMSG_ERROR: undefined for errno 0, which is an acknowledgement. */
export function readAck(message: NetlinkMessage, what: string): NetlinkError | undefined {
  if (message.payload.length < 4) throw new DecodeError('netlink error', 0, 'shorter than its errno');
  const errno = -readI32(message.payload);
  if (errno === 0) return undefined;
  return new NetlinkError(what, errno, readExtack(message));
}

function readExtack(message: NetlinkMessage): Extack {
  if ((message.flags & NLM_F.ACK_TLVS) === 0) return {};
  const inner = 4;
  if (message.payload.length < inner + HEADER_LENGTH) return {};
  const length = readU32(message.payload, inner);
  // A capped answer echoes the header alone, an uncapped one the whole request.
  const skip = (message.flags & NLM_F.CAPPED) === 0 ? (length + 3) & ~3 : HEADER_LENGTH;
  if (inner + skip > message.payload.length) return {};
  return extackTable.read(message.payload.subarray(inner + skip), { path: 'netlink', offset: inner + skip });
}
