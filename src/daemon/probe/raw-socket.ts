import { packSockaddr } from '#ffi/sockaddr.ts';
import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import type { Ip } from '#net/ip.ts';

/** `linux/in.h`, `linux/in6.h`. */
export const IPPROTO = { ICMP: 1, UDP: 17, IPV6: 41, ICMPV6: 58 } as const;
/** IP_MTU_DISCOVER and IPV6_MTU_DISCOVER with their level; IP_PMTUDISC_PROBE: never fragment, and ask the path, not its cache. */
const MTU_DISCOVER = { ipv4: [0, 10], ipv6: [IPPROTO.IPV6, 23] } as const;
const PMTUDISC_PROBE = 3;

/** A socket of `ip`'s family that is bound to it: what it sends comes from there. */
export function boundSocket(ip: Ip, type: number, protocol: number): Socket {
  const socket = Socket.open(ip.family === 'ipv4' ? AF.INET : AF.INET6, type, protocol);
  try {
    socket.bind(packSockaddr(ip));
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

export function icmpSocket(from: Ip): Socket {
  return boundSocket(from, SOCK.RAW, from.family === 'ipv4' ? IPPROTO.ICMP : IPPROTO.ICMPV6);
}

/** What it sends is not fragmented, here or on the way. */
export function neverFragment(socket: Socket, { family }: Ip): void {
  const [level, option] = MTU_DISCOVER[family];
  socket.setOption(level, option, PMTUDISC_PROBE);
}

/** Longest packet that is looked at, bytes: answers to long echoes are as long. */
const BUFFER = 65_536;

/** Everything that has arrived. */
export function* arrived(socket: Socket): Generator<Uint8Array> {
  const buffer = new Uint8Array(BUFFER);
  for (;;) {
    const received = socket.receive(buffer, MSG.DONTWAIT);
    // EAGAIN as a rule; an error of an earlier packet's is told once and says nothing that the packets themselves do not.
    if ('errno' in received) return;
    yield buffer.subarray(0, received.length);
  }
}

export interface Waiting {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Does nothing but look in the first two milliseconds: the time of an answer from nearby is told exactly. */
  readonly eager?: boolean;
}

/** How often it is looked for answers, ms. */
const LOOK = 4;
const EAGER = 2;

/** Looks until `done`, or the time is over. */
export async function lookUntil(done: () => boolean, { timeoutMs, signal, eager }: Waiting): Promise<void> {
  const start = performance.now();
  const end = start + timeoutMs;
  if (eager === true) while (performance.now() < start + EAGER) if (done()) return;
  while (!done() && performance.now() < end && !signal.aborted) await Bun.sleep(LOOK);
}
