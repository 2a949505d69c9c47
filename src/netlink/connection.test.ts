import { describe, expect, test } from 'bun:test';
import { ByteWriter, readU16, readU32 } from '#base/bytes.ts';
import { ERRNO } from '#base/errors.ts';
import { NetlinkConnection, type Transport } from './connection.ts';
import { forEachMessage, NLM_F, NLMSG, type NetlinkRequest } from './message.ts';

/** One sent message: its sequence number, type and flags. */
interface Sent {
  readonly sequence: number;
  readonly type: number;
  readonly flags: number;
}

interface Answer {
  readonly type: number;
  readonly sequence: number;
  readonly flags?: number;
  readonly body?: readonly number[];
}

/** A kernel that answers each sent datagram with the datagrams (or errno) that `answer` makes of it. */
class FakeKernel implements Transport {
  readonly datagrams: Sent[][] = [];
  readonly #answer: (sent: readonly Sent[], datagram: number) => readonly (readonly Answer[] | number)[];
  readonly #pending: (Uint8Array | number)[] = [];

  constructor(answer: (sent: readonly Sent[], datagram: number) => readonly (readonly Answer[] | number)[]) {
    this.#answer = answer;
  }

  send(bytes: Uint8Array): void {
    const sent: Sent[] = [];
    forEachMessage(bytes, ({ sequence, type, flags }) => sent.push({ sequence, type, flags }));
    this.datagrams.push(sent);
    for (const each of this.#answer(sent, this.datagrams.length - 1))
      this.#pending.push(typeof each === 'number' ? each : encode(each));
  }

  receive(buffer: Uint8Array) {
    const next = this.#pending.shift();
    if (next === undefined) return { errno: ERRNO.EAGAIN };
    if (typeof next === 'number') return { errno: next };
    buffer.set(next);
    return { length: next.length };
  }

  setSendBuffer(): void {}
  close(): void {}
}

function encode(answers: readonly Answer[]): Uint8Array {
  const out = new ByteWriter();
  for (const { type, sequence, flags = 0, body = [0, 0, 0, 0] } of answers) {
    out
      .u32(16 + body.length)
      .u16(type)
      .u16(flags)
      .u32(sequence)
      .u32(0)
      .bytes(Uint8Array.from(body))
      .align(4);
  }
  return out.copy();
}

const ack = (sequence: number, errno = 0): Answer => ({
  type: NLMSG.ERROR,
  sequence,
  body: [...new Uint8Array(Int32Array.of(-errno).buffer), ...new Uint8Array(16)],
});

function request(n: number): NetlinkRequest {
  return { type: 16, flags: 0, what: `request ${n}`, write: (out) => void out.u32(n) };
}

const requests = (count: number) => Array.from({ length: count }, (_, n) => request(n));

describe('batch', () => {
  test('asks for one acknowledgement per datagram and takes silence for success', () => {
    const kernel = new FakeKernel((sent) => [[ack(sent.at(-1)?.sequence ?? 0)]]);
    using connection = NetlinkConnection.over(kernel);
    expect(connection.batch(requests(500))).toEqual(Array.from({ length: 500 }, () => undefined));
    expect(kernel.datagrams.map((sent) => sent.length)).toEqual([192, 192, 116]);
    for (const sent of kernel.datagrams) {
      expect(sent.map(({ flags }) => (flags & NLM_F.ACK) !== 0)).toEqual(
        sent.map((_, i) => i === sent.length - 1),
      );
    }
  });

  test('matches failures to requests, in any packing, also that of the last', () => {
    const kernel = new FakeKernel((sent) => [
      [ack(sent[1]?.sequence ?? 0, ERRNO.EEXIST), ack(sent[2]?.sequence ?? 0, ERRNO.ENOENT)],
      [ack(sent[4]?.sequence ?? 0, ERRNO.EPERM)],
    ]);
    using connection = NetlinkConnection.over(kernel);
    const errors = connection.batch(requests(5));
    expect(errors.map((error) => error?.code)).toEqual([undefined, 'EEXIST', 'ENOENT', undefined, 'EPERM']);
    expect(errors[2]?.call).toBe('request 2');
  });

  test('answers to earlier requests are passed over', () => {
    const kernel = new FakeKernel((sent) => [
      [ack(4_000_000, ERRNO.EPERM)],
      [{ type: 16, sequence: sent[0]?.sequence ?? 0 }],
      [ack(sent[0]?.sequence ?? 0)],
    ]);
    using connection = NetlinkConnection.over(kernel);
    expect(connection.batch(requests(1))).toEqual([undefined]);
  });

  test('a lost answer is an error, not success', () => {
    using silent = NetlinkConnection.over(new FakeKernel(() => []));
    expect(() => silent.batch(requests(2))).toThrow(
      'request 0: no answer in time (EAGAIN): waiting for the kernel',
    );
    using overrun = NetlinkConnection.over(new FakeKernel(() => [ERRNO.ENOBUFS]));
    expect(() => overrun.execute(request(7))).toThrow('request 7: receive buffer overrun (ENOBUFS)');
  });

  test('execute throws the failure', () => {
    using connection = NetlinkConnection.over(
      new FakeKernel(([sent]) => [[ack(sent?.sequence ?? 0, ERRNO.EBUSY)]]),
    );
    expect(() => connection.execute(request(3))).toThrow('request 3: device or resource busy (EBUSY)');
  });
});

describe('get', () => {
  test('decodes the answer', () => {
    using connection = NetlinkConnection.over(
      new FakeKernel(([sent]) => [[{ type: 16, sequence: sent?.sequence ?? 0, body: [42, 0, 0, 0] }]]),
    );
    expect(connection.get(request(0), ({ payload }) => readU32(payload))).toBe(42);
  });

  test('an acknowledgement instead of an answer', () => {
    using connection = NetlinkConnection.over(new FakeKernel(([sent]) => [[ack(sent?.sequence ?? 0)]]));
    expect(() => connection.get(request(0), () => 1)).toThrow('request 0: acknowledged without an answer');
  });
});

describe('dump', () => {
  const entry = (sequence: number, value: number, flags = NLM_F.MULTI as number): Answer => ({
    type: 16,
    sequence,
    flags,
    body: [value, 0],
  });
  const done = (sequence: number, errno = 0): Answer => ({ ...ack(sequence, errno), type: NLMSG.DONE });
  const value = ({ payload }: { payload: Uint8Array }) => readU16(payload);

  test('several datagrams, entries that are left out', () => {
    const kernel = new FakeKernel(([sent]) => {
      const sequence = sent?.sequence ?? 0;
      return [[entry(sequence, 1), entry(sequence, 2)], [entry(sequence, 3)], [done(sequence)]];
    });
    using connection = NetlinkConnection.over(kernel);
    expect(
      connection.dump(request(0), (message) => (value(message) === 2 ? undefined : value(message))),
    ).toEqual([1, 3]);
    expect(kernel.datagrams[0]?.[0]?.flags).toBe(NLM_F.DUMP | 0x01);
  });

  test('is made again when the table changed meanwhile', () => {
    const kernel = new FakeKernel(([sent], datagram) => {
      const sequence = sent?.sequence ?? 0;
      if (datagram === 0)
        return [[entry(sequence, 1), entry(sequence, 2, NLM_F.MULTI | NLM_F.DUMP_INTR)], [done(sequence)]];
      if (datagram === 1) return [[entry(sequence, 3)], [{ ...done(sequence), flags: NLM_F.DUMP_INTR }]];
      if (datagram === 2) return [[done(sequence, ERRNO.EINTR)]];
      return [[entry(sequence, 9)], [done(sequence)]];
    });
    using connection = NetlinkConnection.over(kernel);
    expect(connection.dump(request(0), value)).toEqual([9]);
    expect(kernel.datagrams.length).toBe(4);
  });

  test('gives up on a table that never rests', () => {
    const kernel = new FakeKernel(([sent]) => [[{ ...done(sent?.sequence ?? 0), flags: NLM_F.DUMP_INTR }]]);
    using connection = NetlinkConnection.over(kernel);
    expect(() => connection.dump(request(0), value)).toThrow(
      'request 0: the table changed during each of 20 reads',
    );
    expect(kernel.datagrams.length).toBe(20);
  });

  test('fails at once or at its end', () => {
    using atOnce = NetlinkConnection.over(
      new FakeKernel(([sent]) => [[ack(sent?.sequence ?? 0, ERRNO.EPERM)]]),
    );
    expect(() => atOnce.dump(request(0), value)).toThrow('EPERM');
    using atEnd = NetlinkConnection.over(
      new FakeKernel(([sent]) => [
        [entry(sent?.sequence ?? 0, 1)],
        [done(sent?.sequence ?? 0, ERRNO.ENODEV)],
      ]),
    );
    expect(() => atEnd.dump(request(0), value)).toThrow('ENODEV');
  });

  test('an entry that cannot be decoded does not leave the rest in the socket', () => {
    const kernel = new FakeKernel(([sent]) => {
      const sequence = sent?.sequence ?? 0;
      return [[entry(sequence, 1)], [entry(sequence, 2)], [done(sequence)]];
    });
    using connection = NetlinkConnection.over(kernel);
    const refuse = () => {
      throw new Error('cannot be decoded');
    };
    expect(() => connection.dump(request(0), refuse)).toThrow('cannot be decoded');
    expect(kernel.receive(new Uint8Array(100))).toEqual({ errno: ERRNO.EAGAIN });
  });
});
