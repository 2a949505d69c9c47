export type Family = 'ipv4' | 'ipv6';

/** Both families, in the order in which the project always walks them. */
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** Address length in bits. */
export function familyBits(family: Family): 32 | 128 {
  return family === 'ipv4' ? 32 : 128;
}
