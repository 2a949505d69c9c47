import { readU16, readU32, readU64, ByteWriter } from '#base/bytes.ts';
import { AF, SOCK, Socket } from '#ffi/socket.ts';
import { writeStandardOutput } from '../report/screen.ts';
import { CAPTURING, PACKET_OUTGOING, type CapturedFrame } from './frames.ts';

/** `linux/if_ether.h` ETH_P_ALL in network order, as socket(2) and sockaddr_ll want it. */
const ETH_P_ALL = 0x0003;
/** `asm-generic/sockios.h`: time of the packet received last, a struct timespec of two 64-bit words. */
const SIOCGSTAMPNS = 0x8907;
const SOCKADDR_LL = 20;
/** A capture that nobody ends, ends itself. */
const LIMIT_MS = 20_000;
const RECEIVE_MS = 100;
const BUFFER = 65_536;

/**
 * Inner command `__capture <token>`: prints every frame on every device of this network namespace that carries the token
 * in its payload (inside VXLAN too: its payload is the inner frame as it stands), until it is killed.
 */
export function captureMain(token: string): Promise<number> {
  const networkOrder = new ByteWriter(2).be16(ETH_P_ALL).copy();
  using socket = Socket.open(AF.PACKET, SOCK.RAW, readU16(networkOrder));
  socket.setReceiveBuffer(4 << 20);
  socket.setTimeout(RECEIVE_MS);
  // The first question switches time stamps on, and has no answer yet.
  timestamp(socket);
  writeStandardOutput(`${CAPTURING}\n`);
  const needle = Buffer.from(token);
  const buffer = Buffer.alloc(BUFFER);
  const address = new Uint8Array(SOCKADDR_LL);
  const start = performance.now();
  while (performance.now() - start < LIMIT_MS) {
    const received = socket.receiveFrom(buffer, 0, address);
    if ('errno' in received) continue;
    const frame = buffer.subarray(0, received.length);
    if (!frame.includes(needle)) continue;
    const line: CapturedFrame = {
      // struct sockaddr_ll: family, protocol, ifindex, hatype, pkttype.
      link: readU32(address, 4),
      outgoing: address[10] === PACKET_OUTGOING,
      time: timestamp(socket).toString(),
      frame: frame.toString('hex'),
    };
    writeStandardOutput(`${JSON.stringify(line)}\n`);
  }
  return Promise.resolve(0);
}

/** ns since the epoch of the last packet; 0 before the first. */
function timestamp(socket: Socket): bigint {
  const timespec = new Uint8Array(16);
  try {
    socket.ioctl(SIOCGSTAMPNS, timespec);
  } catch {
    return 0n;
  }
  return readU64(timespec, 0) * 1_000_000_000n + readU64(timespec, 8);
}
