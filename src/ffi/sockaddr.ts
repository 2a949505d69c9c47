import { ByteWriter } from '#base/bytes.ts';
import type { Ip } from '#net/ip.ts';
import { AF } from './socket.ts';

/** Bytes of `struct sockaddr_in6`, the longer of the two. */
const SOCKADDR_LENGTH = 28;

/** `struct sockaddr_in` or `sockaddr_in6` (`linux/in.h`, `linux/in6.h`); `scope`: index of the link of a link-local address. */
export function packSockaddr(ip: Ip, { port = 0, scope = 0 } = {}): Uint8Array {
  const out = new ByteWriter(SOCKADDR_LENGTH);
  if (ip.family === 'ipv4') return out.u16(AF.INET).be16(port).bytes(ip.toBytes()).u64(0n).copy();
  return out.u16(AF.INET6).be16(port).u32(0).bytes(ip.toBytes()).u32(scope).copy();
}
