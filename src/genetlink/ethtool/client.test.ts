import { expect, test } from 'bun:test';
import { cureOf, ERRNO, hasErrno } from '#base/errors.ts';
import { ByteWriter, readU32 } from '#base/bytes.ts';
import { NetlinkConnection, type Transport } from '#netlink/connection.ts';
import { NLMSG } from '#netlink/message.ts';
import { Ethtool } from './client.ts';

/** A kernel that answers the first requests with `answers` (a hex payload of type 0x10) and every other with an errno. */
function kernel(errno: number, answers: readonly string[] = []): Transport & { closed: boolean } {
  let sequence = 0;
  let count = 0;
  return {
    closed: false,
    send(bytes) {
      sequence = readU32(bytes, 8);
      return bytes.length;
    },
    receive(buffer) {
      const answer = answers[count++];
      const out = new ByteWriter();
      const payload = answer === undefined ? undefined : Uint8Array.fromHex(answer);
      out.u32(16 + (payload?.length ?? 20)).u16(payload === undefined ? NLMSG.ERROR : 0x10);
      out.u16(0).u32(sequence).u32(0);
      if (payload === undefined) out.i32(-errno).u32(16).u32(0).u32(sequence).u32(0);
      else out.bytes(payload);
      buffer.set(out.written());
      return { length: out.length };
    },
    setSendBuffer() {},
    close() {
      this.closed = true;
    },
  };
}

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

// The answer to the search for the family, number 0x15.
const FAMILY = '010200000c000200657468746f6f6c000600010015000000';

test('a kernel without the family, and one whose family lacks the command, are named by what helps', () => {
  const without = kernel(ERRNO.ENOENT);
  const absent = thrown(() => Ethtool.over(NetlinkConnection.over(without)));
  const old = Ethtool.over(NetlinkConnection.over(kernel(ERRNO.EOPNOTSUPP, [FAMILY])));
  for (const error of [absent, thrown(() => old.features('flannel.1'))]) {
    expect(hasErrno(error, 'EOPNOTSUPP')).toBe(true);
    expect(cureOf(error)).toContain('Linux 5.7');
  }
  expect(without.closed).toBe(true);
});

test('other answers stay as they are', () => {
  const ethtool = Ethtool.over(NetlinkConnection.over(kernel(ERRNO.EPERM, [FAMILY])));
  const error = thrown(() => ethtool.setFeature({ link: 'flannel.1', feature: 'rx-gro', on: true }));
  expect(String(error)).toContain('turn rx-gro of flannel.1 on: operation not permitted (EPERM)');
});
