import { expect, test } from 'bun:test';
import { ByteWriter } from '#base/bytes.ts';
import { getFamily, GENL_ID_CTRL, readFamilyId } from './control.ts';

// strace -xx ethtool -k lo: how it finds its family (ethtool 6.1, Linux 6.18); the answer without operations and groups.
const REQUEST = '030100000c000200657468746f6f6c00';
const ANSWER =
  '010200000c000200657468746f6f6c000600010015000000080003000100000008000400000000000800050000000000';

const message = (hex: string) => ({ type: 0x10, flags: 0, sequence: 1, payload: Uint8Array.fromHex(hex) });

test('a family is asked for by name and answered with its number', () => {
  const request = getFamily('ethtool');
  const out = new ByteWriter();
  request.write(out);
  expect([request.type, out.copy().toHex()]).toEqual([GENL_ID_CTRL, REQUEST]);
  expect(readFamilyId(message(ANSWER))).toBe(0x15);
});

test('an answer without a number is refused', () => {
  expect(() => readFamilyId(message(REQUEST))).toThrow('a family without a number');
});
