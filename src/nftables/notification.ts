import type { NetlinkMessage } from '#netlink/message.ts';
import { tableOf } from './message.ts';
import type { TableKey } from './objects.ts';
import { isNftablesType, NFT_MSG, readHeader } from './wire.ts';

/**
 * The table that a notification of group NFNLGRP_NFTABLES tells about: something in it, or itself, was added, changed
 * or removed. Undefined for the end of a transaction (NEWGEN), for a trace, and for families that are none of ours.
 */
export function touchedTable(message: NetlinkMessage): TableKey | undefined {
  const { type, payload } = message;
  if (!isNftablesType(type) || type === NFT_MSG.NEWGEN || type === NFT_MSG.TRACE) return undefined;
  const { family, attributes } = readHeader(payload);
  const name = family === undefined ? undefined : tableOf(attributes);
  return family === undefined || name === undefined ? undefined : { family, name };
}
