import { expect, test } from 'bun:test';
import { ByteWriter } from '#base/bytes.ts';
import type { GenericCall } from '../message.ts';
import { genericRequest, readGeneric } from '../message.ts';
import { ETHTOOL_FLAG, featuresTable, getFeatures, readActive, setFeature } from './features.ts';

const FEATURE = 'tx-checksum-ip-generic';

// strace -xx ethtool -K flannel.1 tx-checksum-ip-generic off|on (ethtool 6.1); its padding is what its memory held: here zero.
const SET_OFF =
  '0c010000 1c000180 0e000200 666c616e6e656c2e31000000 0800030001000000' +
  '28000380 24000380 20000180 1b000200 74782d636865636b73756d2d69702d67656e6572696300 00';
const SET_ON =
  '0c010000 1c000180 0e000200 666c616e6e656c2e31000000 0800030001000000' +
  '2c000380 28000380 24000180 1b000200 74782d636865636b73756d2d69702d67656e6572696300 00 04000300';

// ethtool -k flannel.1, its request without the flag for compact bit sets.
const GET = '0b010000 1c000180 0e000200 666c616e6e656c2e31000000 0800030000000000';

// The answer of Linux 6.18 to it after -K off, without the sets hw, wanted and nochange.
const HEADER = '0b010000 1c000180 08000100 04000000 0e000200 666c616e6e656c2e31000000';
const ACTIVE_OFF =
  '300104800400010008000200400000002001038024000180080001000000000016000200' +
  '74782d736361747465722d6761746865720000002c00018008000100060000001f000200' +
  '74782d736361747465722d6761746865722d667261676c697374000028000180080001000b0000001c000200' +
  '74782d67656e657269632d7365676d656e746174696f6e0018000180080001000e0000000b000200' +
  '72782d67726f000028000180080001001e0000001900020074782d736374702d7365676d656e746174696f6e00000000' +
  '1c00018008000100220000001000020074782d67736f2d6c697374002c00018008000100230000001f000200' +
  '74782d7463702d61636365636e2d7365676d656e746174696f6e00001c0001800800010028000000' +
  '1000020072782d636865636b73756d00';
// The set hw of the same answer, cut to four bits: a set with a mask, in which the value counts.
const HW =
  '9c0002800800020040000000900003802800018008000100000000001600020074782d736361747465722d67617468657200000004000300' +
  '2400018008000100010000001500020074782d636865636b73756d2d697076340000000014000180080001000200000005000200' +
  '000000002c00018008000100030000001b00020074782d636865636b73756d2d69702d67656e65726963000004000300';

const bytes = (hex: string) => Uint8Array.fromHex(hex.replaceAll(' ', ''));

function written(call: GenericCall): string {
  const out = new ByteWriter();
  genericRequest(0x15, call).write(out);
  return out.copy().toHex();
}

function read(hex: string) {
  return readGeneric({ type: 0x15, flags: 0, sequence: 1, payload: bytes(hex) });
}

test('requests are those of ethtool', () => {
  const compact = ETHTOOL_FLAG.COMPACT_BITSETS;
  const change = { link: 'flannel.1', feature: FEATURE };
  expect(written(setFeature({ ...change, on: false }, compact))).toBe(bytes(SET_OFF).toHex());
  expect(written(setFeature({ ...change, on: true }, compact))).toBe(bytes(SET_ON).toHex());
  expect(written(getFeatures('flannel.1'))).toBe(bytes(GET).toHex());
});

test('without other wishes no answer besides the acknowledgement is asked for', () => {
  const { attributes, at } = read(written(setFeature({ link: 'flannel.1', feature: FEATURE, on: true })));
  expect(featuresTable.read(attributes, at)).toEqual({
    header: { devName: 'flannel.1', flags: ETHTOOL_FLAG.OMIT_REPLY },
    wanted: { bits: [{ name: FEATURE, value: true }] },
  });
});

test('what is on is read by name', () => {
  const active = readActive(read(HEADER + ACTIVE_OFF));
  expect([...active]).toEqual([
    'tx-scatter-gather',
    'tx-scatter-gather-fraglist',
    'tx-generic-segmentation',
    'rx-gro',
    'tx-sctp-segmentation',
    'tx-gso-list',
    'tx-tcp-accecn-segmentation',
    'rx-checksum',
  ]);
});

test('in a set with a mask a bit counts that has its value set, and one without a name never', () => {
  // Type 2 (hw) becomes 4 (active).
  const active = readActive(read(HEADER + HW.replace('9c000280', '9c000480')));
  expect([...active]).toEqual(['tx-scatter-gather', FEATURE]);
});

test('an answer without the set has nothing on; one that is cut is refused', () => {
  expect(readActive(read(HEADER)).size).toBe(0);
  expect(() => readActive(read((HEADER + ACTIVE_OFF).slice(0, -16)))).toThrow('leads outside its parent');
  expect(() => read('0b01')).toThrow('shorter than its header');
});
