import { attributeTable, be32, raw, text } from '#netlink/attribute.ts';

/** `enum nft_verdict_attributes`. */
const verdictTable = attributeTable('verdict', { code: [1, be32], chain: [2, text] });

/** `enum nft_data_attributes`: bytes for a register, or a verdict. */
export const dataTable = attributeTable('data', { value: [1, raw], verdict: [2, verdictTable] });
