import { readI32, readU16, readU32, type ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { AF, IFF } from '../constants.ts';

/** Bytes of `struct ifinfomsg` (`linux/rtnetlink.h`). */
export const LINK_HEADER = 16;

export interface LinkHeader {
  readonly family: number;
  /** ARPHRD_*. */
  readonly hardwareType: number;
  readonly index: number;
  readonly flags: number;
}

export interface LinkHeaderSpec {
  readonly index?: number | undefined;
  readonly up?: boolean | undefined;
  readonly promiscuous?: boolean | undefined;
  /** AF_*; default AF_UNSPEC. */
  readonly family?: number | undefined;
}

/** A header that changes only the flags that are given. */
export function writeLinkHeader(out: ByteWriter, spec: LinkHeaderSpec): void {
  let flags = 0;
  let change = 0;
  for (const [wanted, bit] of [
    [spec.up, IFF.UP],
    [spec.promiscuous, IFF.PROMISC],
  ] as const) {
    if (wanted === undefined) continue;
    change |= bit;
    if (wanted) flags |= bit;
  }
  out
    .u8(spec.family ?? AF.UNSPEC)
    .u8(0)
    .u16(0)
    .i32(spec.index ?? 0)
    .u32(flags)
    .u32(change);
}

export function readLinkHeader(payload: Uint8Array): LinkHeader {
  if (payload.length < LINK_HEADER) throw new DecodeError('link', 0, 'shorter than its header');
  return {
    family: payload[0] ?? 0,
    hardwareType: readU16(payload, 2),
    index: readI32(payload, 4),
    flags: readU32(payload, 8),
  };
}
