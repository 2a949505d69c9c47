import type { ByteWriter } from '#base/bytes.ts';
import { FlannelError } from '#base/errors.ts';
import type { Codec } from '#netlink/attribute.ts';

/** NFTNL_UDATA_{TABLE,CHAIN,RULE}_COMMENT of libnftnl's `udata.h`: 0 in all three. */
const COMMENT = 0;
/** nft refuses to print more (NFTNL_UDATA_COMMENT_MAXLEN, the NUL included). */
const COMMENT_MAX = 128;
/** An entry of this project: nft passes over what it does not know. */
const TAG = 222;
/** What is left of NFT_USERDATA_MAXLEN (256) beside a comment of full length, the NUL included. */
const TAG_MAX = 124;

/** What stands in the userdata of a rule. */
export interface RuleUserdata {
  readonly comment?: string | undefined;
  readonly tag?: string | undefined;
}

/**
 * The comment inside the userdata of a table, chain or rule: `u8 type, u8 length, value`, the value with its NUL. The
 * kernel keeps these bytes without looking at them. Other entries (nft's version and build) are passed over.
 */
export const commentUserdata: Codec<string> = {
  write: (out, comment) => writeEntry(out, COMMENT, comment),
  read: (bytes) => readEntry(bytes, COMMENT) ?? '',
};

/** As `commentUserdata` with the rule's tag behind the comment. */
export const ruleUserdata: Codec<RuleUserdata> = {
  write(out, { comment, tag }) {
    if (comment !== undefined) writeEntry(out, COMMENT, comment);
    if (tag !== undefined) writeEntry(out, TAG, tag);
  },
  read: (bytes) => ({ comment: readEntry(bytes, COMMENT), tag: readEntry(bytes, TAG) }),
};

function writeEntry(out: ByteWriter, type: typeof COMMENT | typeof TAG, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const max = type === COMMENT ? COMMENT_MAX : TAG_MAX;
  if (bytes.length + 1 > max || bytes.includes(0)) {
    const what = type === COMMENT ? 'comment' : 'tag';
    throw new FlannelError('bug', `an nftables ${what} has at most ${max - 1} bytes without NUL`);
  }
  out
    .u8(type)
    .u8(bytes.length + 1)
    .bytes(bytes)
    .u8(0);
}

// What another program wrote here is its own affair: an entry that leads outside ends the search, it is no error.
function readEntry(bytes: Uint8Array, type: number): string | undefined {
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = bytes[at + 1] ?? 0;
    const value = bytes.subarray(at + 2, at + 2 + length);
    if (bytes[at] === type && value.length === length) {
      const end = value.indexOf(0);
      return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
    }
    at += 2 + length;
  }
  return undefined;
}
