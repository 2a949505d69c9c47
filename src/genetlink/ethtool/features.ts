import { attributeTable, flag, listOf, text, u32 } from '#netlink/attribute.ts';
import type { GenericCall, GenericMessage } from '../message.ts';

/** ETHTOOL_GENL_VERSION (`linux/ethtool_netlink.h`). */
const VERSION = 1;

/** ETHTOOL_MSG_*: what user space sends. */
export const ETHTOOL_MSG = { FEATURES_GET: 11, FEATURES_SET: 12 } as const;

/** ETHTOOL_FLAG_*. Bit sets come with the names of their bits unless they are asked to be compact. */
export const ETHTOOL_FLAG = { COMPACT_BITSETS: 1, OMIT_REPLY: 2 } as const;

/** ETHTOOL_A_HEADER_* */
export const headerTable = attributeTable('header', { devName: [2, text], flags: [3, u32] }, 'drop');
/** ETHTOOL_A_BITSET_BIT_*: the bit by name, since its number differs between kernels. */
export const bitTable = attributeTable('bit', { index: [1, u32], name: [2, text], value: [3, flag] }, 'drop');
/** ETHTOOL_A_BITSET_*; without a mask, the bits that are listed are those that are set. */
export const bitsetTable = attributeTable(
  'bitset',
  { nomask: [1, flag], size: [2, u32], bits: [3, listOf(bitTable, 1)] },
  'drop',
);
/** ETHTOOL_A_FEATURES_* */
export const featuresTable = attributeTable(
  'features',
  { header: [1, headerTable], wanted: [3, bitsetTable], active: [4, bitsetTable] },
  'drop',
);

/** A change of one feature of a link. */
export interface FeatureChange {
  readonly link: string;
  /** As `ethtool -k` prints it, e.g. `tx-checksum-ip-generic`. */
  readonly feature: string;
  readonly on: boolean;
}

/** `ethtool -k <link>` */
export function getFeatures(link: string): GenericCall {
  return {
    command: ETHTOOL_MSG.FEATURES_GET,
    version: VERSION,
    what: `read the features of ${link}`,
    write: (out) => featuresTable.write(out, { header: { devName: link, flags: 0 } }),
  };
}

/** `ethtool -K <link> <feature> on|off`. Others that depend on it follow; the kernel remembers what was wanted of them. */
export function setFeature(
  { link, feature, on }: FeatureChange,
  flags: number = ETHTOOL_FLAG.OMIT_REPLY,
): GenericCall {
  const bit = on ? ({ name: feature, value: true } as const) : { name: feature };
  return {
    command: ETHTOOL_MSG.FEATURES_SET,
    version: VERSION,
    what: `turn ${feature} of ${link} ${on ? 'on' : 'off'}`,
    write: (out) => featuresTable.write(out, { header: { devName: link, flags }, wanted: { bits: [bit] } }),
  };
}

/** The names of the features that are on, out of the answer to `getFeatures`. */
export function readActive({ attributes, at }: GenericMessage): ReadonlySet<string> {
  const { active } = featuresTable.read(attributes, at);
  const names = new Set<string>();
  for (const { name, value } of active?.bits ?? []) {
    if (name !== undefined && name !== '' && (active?.nomask === true || value === true)) names.add(name);
  }
  return names;
}
