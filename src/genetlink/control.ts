import { DecodeError } from '#base/errors.ts';
import { attributeTable, text, u16 } from '#netlink/attribute.ts';
import type { NetlinkMessage, NetlinkRequest } from '#netlink/message.ts';
import { genericRequest, readGeneric } from './message.ts';

/** The family that knows the others (`linux/genetlink.h`). */
export const GENL_ID_CTRL = 0x10;
/** What user space sends; kernels take any. */
const VERSION = 1;

/** `enum` of CTRL_CMD_*. */
export const CTRL_CMD = { NEWFAMILY: 1, GETFAMILY: 3 } as const;

/** CTRL_ATTR_* */
export const controlTable = attributeTable('ctrl', { familyId: [1, u16], familyName: [2, text] }, 'drop');

/** Asks for the number of a family by its name. */
export function getFamily(name: string): NetlinkRequest {
  return genericRequest(GENL_ID_CTRL, {
    command: CTRL_CMD.GETFAMILY,
    version: VERSION,
    what: `find the netlink family ${name}`,
    write: (out) => controlTable.write(out, { familyName: name }),
  });
}

/** The number of the family out of CTRL_CMD_NEWFAMILY. */
export function readFamilyId(message: NetlinkMessage): number {
  const { attributes, at } = readGeneric(message);
  const { familyId } = controlTable.read(attributes, at);
  if (familyId === undefined) throw new DecodeError('ctrl', at.offset, 'a family without a number');
  return familyId;
}
