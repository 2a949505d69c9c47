import type { ByteWriter } from '#base/bytes.ts';
import { FlannelError } from '#base/errors.ts';
import type { Codec } from '#netlink/attribute.ts';

/** NFTNL_UDATA_{TABLE,CHAIN,RULE}_COMMENT of libnftnl's `udata.h`: 0 in all three. */
const COMMENT = 0;
/** nft refuses to print more (NFTNL_UDATA_COMMENT_MAXLEN, the NUL included). */
const COMMENT_MAX = 128;

/**
 * The comment inside the userdata of a table, chain or rule: `u8 type, u8 length, value`, the value with its NUL. The
 * kernel keeps these bytes without looking at them. Other entries (nft's version and build) are passed over.
 */
export const commentUserdata: Codec<string> = {
  write(out: ByteWriter, comment: string): void {
    const bytes = new TextEncoder().encode(comment);
    if (bytes.length + 1 > COMMENT_MAX || bytes.includes(0)) {
      throw new FlannelError('bug', `an nftables comment has at most ${COMMENT_MAX - 1} bytes without NUL`);
    }
    out
      .u8(COMMENT)
      .u8(bytes.length + 1)
      .bytes(bytes)
      .u8(0);
  },
  // What another program wrote here is its own affair: an entry that leads outside ends the search, it is no error.
  read(bytes: Uint8Array): string {
    for (let at = 0; at + 2 <= bytes.length;) {
      const length = bytes[at + 1] ?? 0;
      const value = bytes.subarray(at + 2, at + 2 + length);
      if (bytes[at] === COMMENT && value.length === length) {
        const end = value.indexOf(0);
        return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
      }
      at += 2 + length;
    }
    return '';
  },
};
