import { readI32, readU16, type ByteWriter } from '#base/bytes.ts';
import { DecodeError } from '#base/errors.ts';
import { attributeTable, be16, ip, u16, u32 } from '#netlink/attribute.ts';
import { hardwareAddress } from './link/hardware-address.ts';

/** Bytes of `struct ndmsg` (`linux/neighbour.h`): the header of neighbour and FDB messages. */
export const NEIGHBOUR_HEADER = 12;

export interface NeighbourHeader {
  readonly family: number;
  readonly link?: number | undefined;
  readonly state?: number | undefined;
  readonly flags?: number | undefined;
}

export function writeNeighbourHeader(out: ByteWriter, header: NeighbourHeader): void {
  const { family, link = 0, state = 0, flags = 0 } = header;
  out.u8(family).u8(0).u16(0).i32(link).u16(state).u8(flags).u8(0);
}

export function readNeighbourHeader(payload: Uint8Array): { [K in keyof NeighbourHeader]-?: number } {
  if (payload.length < NEIGHBOUR_HEADER) throw new DecodeError('neighbour', 0, 'shorter than its header');
  return {
    family: payload[0] ?? 0,
    link: readI32(payload, 4),
    state: readU16(payload, 8),
    flags: payload[10] ?? 0,
  };
}

/** `linux/neighbour.h` NDA_*. */
export const neighbourTable = attributeTable(
  'neighbour',
  {
    dst: [1, ip],
    mac: [2, hardwareAddress],
    vlan: [5, u16],
    port: [6, be16],
    vni: [7, u32],
    ifindex: [8, u32],
    master: [9, u32],
  },
  'drop',
);
