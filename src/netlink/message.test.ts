import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { ByteWriter } from '#base/bytes.ts';
import { DecodeError, isNotFound } from '#base/errors.ts';
import {
  forEachMessage,
  NetlinkError,
  NLM_F,
  NLMSG,
  readAck,
  writeMessage,
  type NetlinkMessage,
} from './message.ts';

function messages(hex: string): (Omit<NetlinkMessage, 'payload'> & { payload: string })[] {
  const all: (Omit<NetlinkMessage, 'payload'> & { payload: string })[] = [];
  forEachMessage(Uint8Array.fromHex(hex), (each) => all.push({ ...each, payload: each.payload.toHex() }));
  return all;
}

/**
 * Answers of Linux 6.18. REFUSED: to `ip route add 10.244.2.0/24 via 10.244.3.0 dev 4`, with NETLINK_CAP_ACK, so that it
 * echoes the request's header alone. INVALID: to an RTM_NEWADDR whose IFA_FLAGS, at byte 32, has one byte, echoed whole.
 */
const REFUSED =
  '440000000200000309000000025000009bffffff34000000180005060900000000000000200001004e657874686f70206861' +
  '7320696e76616c6964206761746577617900';
const INVALID =
  '900000000200000209000000ab000e98deffffff2800000014000506090000000000000002280000010000000800010001000000' +
  '050008000100000027000100417474726962757465206661696c656420706f6c6963792076616c69646174696f6e000008000200' +
  '20000000240004800c00040000000000000000000c000500ffffffff000000000800010004000000';

function answer(hex: string): NetlinkMessage {
  const all: NetlinkMessage[] = [];
  forEachMessage(Uint8Array.fromHex(hex), (each) => all.push(each));
  const [message] = all;
  if (message === undefined || all.length !== 1) throw new Error('not one message');
  return message;
}

/** Hex digits, grouped by blanks to be read. */
const group = (text: string) => text.replaceAll(' ', '');

describe('framing', () => {
  test('a request: header, body, padding', () => {
    const out = new ByteWriter();
    const request = { type: 24, flags: NLM_F.CREATE, what: 'test', write: (to: ByteWriter) => void to.u8(7) };
    writeMessage(out, request, 5, NLM_F.ACK);
    writeMessage(out, request, 6, 0);
    expect(out.copy().toHex()).toBe(
      group('11000000 1800 0504 05000000 00000000 07000000 11000000 1800 0104 06000000 00000000 07000000'),
    );
    expect(messages(out.copy().toHex())).toEqual([
      { type: 24, flags: 0x405, sequence: 5, payload: '07' },
      { type: 24, flags: 0x401, sequence: 6, payload: '07' },
    ]);
  });

  test.each([
    ['leads outside', group('12000000 030000000100000000000000 00')],
    ['is shorter than a header', group('0f000000 030000000100000000000000')],
    ['is zero', group('00000000 030000000100000000000000')],
  ])('a length that %s', (_case, hex) => {
    expect(() => messages(hex)).toThrow(DecodeError);
  });

  test('hostile bytes are decoded or refused, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        try {
          forEachMessage(bytes, (message) => void readAck({ ...message, type: NLMSG.ERROR }, 'test'));
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('acknowledgements', () => {
  test('errno 0 is none', () => {
    const payload = Uint8Array.fromHex(group('00000000 24000000180005060900000000000000'));
    expect(readAck({ type: NLMSG.ERROR, flags: NLM_F.CAPPED, sequence: 9, payload }, 'test')).toBeUndefined();
  });

  test('the words of the kernel behind a capped request', () => {
    const error = readAck(answer(REFUSED), 'add route 10.244.2.0/24');
    expect(error).toBeInstanceOf(NetlinkError);
    expect(error?.message).toBe(
      'add route 10.244.2.0/24: network is unreachable (ENETUNREACH): Nexthop has invalid gateway',
    );
    expect(error).toMatchObject({ errno: 101, code: 'ENETUNREACH', call: 'add route 10.244.2.0/24' });
    expect(error).toMatchObject({ extack: 'Nexthop has invalid gateway', badOffset: undefined });
  });

  test('behind a whole request; the offset of the bad attribute', () => {
    expect(readAck(answer(INVALID), 'add address')).toMatchObject({
      code: 'ERANGE',
      badOffset: 32,
      extack: 'Attribute failed policy validation',
    });
  });

  test('flagged but absent words do no harm', () => {
    const payload = Uint8Array.fromHex('eaffffff');
    const error = readAck({ type: NLMSG.ERROR, flags: NLM_F.ACK_TLVS, sequence: 9, payload }, 'test');
    expect(error?.message).toBe('test: invalid argument (EINVAL)');
    expect(() =>
      readAck({ type: NLMSG.ERROR, flags: 0, sequence: 9, payload: new Uint8Array(3) }, 'test'),
    ).toThrow(DecodeError);
  });

  test('errors keep their predicates', () => {
    expect(isNotFound(new NetlinkError('delete', 3))).toBe(true);
    expect(isNotFound(new NetlinkError('delete', 22))).toBe(false);
  });
});
