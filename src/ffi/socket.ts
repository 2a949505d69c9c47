import { ERRNO, ErrnoError } from '#base/errors.ts';
import { checked, errno, libc, rareLibc } from './libc.ts';
import { machine } from './machine.ts';

/** Values of `bits/socket.h`, `asm-generic/socket.h`, `linux/fcntl.h`. */
const SOCK_CLOEXEC = 0o2000000;
export const SO = { SNDBUF: 7, RCVBUF: 8, SNDBUFFORCE: 32, RCVBUFFORCE: 33 } as const;
export const SIGNAL_ON_INPUT = {
  F_SETFL: 4,
  F_SETOWN: 8,
  F_SETSIG: 10,
  O_NONBLOCK: 0o4000,
  O_ASYNC: 0o20000,
  SIGURG: 23,
} as const;
const SOL_SOCKET = 1;

export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3 } as const;
export const MSG = { PEEK: 0x2, DONTWAIT: 0x40, TRUNC: 0x20, NOSIGNAL: 0x4000 } as const;

/** Result of a receive: the length of the datagram (it may exceed the buffer with MSG_TRUNC), or why there is none. */
export type Received = { readonly length: number } | { readonly errno: number };

/** A raw socket by descriptor. All calls are synchronous; a blocking receive is bounded by `timeoutMs`. */
export class Socket implements Disposable {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** `socket(2)` with SOCK_CLOEXEC. */
  static open(domain: number, type: number, protocol: number): Socket {
    return new Socket(checked('socket', libc().socket(domain, type | SOCK_CLOEXEC, protocol)));
  }

  get fd(): number {
    return this.#fd;
  }

  /** `address`: a packed sockaddr. */
  bind(address: Uint8Array): void {
    checked('bind', libc().bind(this.#fd, address, address.length));
  }

  /** The bound sockaddr, at most 128 bytes. */
  name(): Uint8Array {
    const address = new Uint8Array(128);
    const length = new Uint32Array([address.length]);
    checked('getsockname', rareLibc().getsockname(this.#fd, address, length));
    return address.subarray(0, length[0]);
  }

  setOption(level: number, option: number, value: Uint8Array | number): void {
    const bytes = typeof value === 'number' ? new Uint8Array(new Int32Array([value]).buffer) : value;
    checked(`setsockopt ${level}/${option}`, libc().setsockopt(this.#fd, level, option, bytes, bytes.length));
  }

  /** Bounds every blocking send and receive; a receive past it answers EAGAIN. */
  setTimeout(ms: number): void {
    const timeval = new BigInt64Array(2);
    timeval[0] = BigInt(Math.floor(ms / 1000));
    timeval[1] = BigInt(Math.floor((ms % 1000) * 1000));
    const bytes = new Uint8Array(timeval.buffer);
    const { SO_RCVTIMEO, SO_SNDTIMEO } = machine();
    this.setOption(SOL_SOCKET, SO_RCVTIMEO, bytes);
    this.setOption(SOL_SOCKET, SO_SNDTIMEO, bytes);
  }

  /** Receive buffer in bytes; beyond `net.core.rmem_max` where CAP_NET_ADMIN allows it. */
  setReceiveBuffer(bytes: number): void {
    this.#setBuffer(bytes, SO.RCVBUFFORCE, SO.RCVBUF);
  }

  /** Send buffer in bytes, the largest datagram; beyond `net.core.wmem_max` where CAP_NET_ADMIN allows it. */
  setSendBuffer(bytes: number): void {
    this.#setBuffer(bytes, SO.SNDBUFFORCE, SO.SNDBUF);
  }

  #setBuffer(bytes: number, force: number, ask: number): void {
    try {
      this.setOption(SOL_SOCKET, force, bytes);
    } catch {
      this.setOption(SOL_SOCKET, ask, bytes);
    }
  }

  /** Non-blocking, and SIGURG to this process whenever something arrives (`fcntl` F_SETOWN, F_SETSIG, O_ASYNC). */
  signalOnInput(): void {
    const { F_SETFL, F_SETOWN, F_SETSIG, O_ASYNC, O_NONBLOCK, SIGURG } = SIGNAL_ON_INPUT;
    checked('fcntl F_SETOWN', rareLibc().fcntl(this.#fd, F_SETOWN, process.pid));
    checked('fcntl F_SETSIG', rareLibc().fcntl(this.#fd, F_SETSIG, SIGURG));
    checked('fcntl F_SETFL', rareLibc().fcntl(this.#fd, F_SETFL, O_NONBLOCK | O_ASYNC));
  }

  /** Sends one datagram, whole; retried on EINTR. */
  send(bytes: Uint8Array): void {
    for (;;) {
      const sent = Number(libc().send(this.#fd, bytes, bytes.length, MSG.NOSIGNAL));
      if (sent >= 0) return;
      const why = errno();
      if (why !== ERRNO.EINTR) throw new ErrnoError('send', why);
    }
  }

  sendTo(bytes: Uint8Array, address: Uint8Array): void {
    const flags = MSG.NOSIGNAL;
    checked('sendto', rareLibc().sendto(this.#fd, bytes, bytes.length, flags, address, address.length));
  }

  /** One datagram into `buffer`; EINTR is retried, every other errno is a value. */
  receive(buffer: Uint8Array, flags = 0): Received {
    for (;;) {
      const length = Number(libc().recv(this.#fd, buffer, buffer.length, flags));
      if (length >= 0) return { length };
      const why = errno();
      if (why !== ERRNO.EINTR) return { errno: why };
    }
  }

  /** As `receive`; the sender's sockaddr is written to `address`. */
  receiveFrom(buffer: Uint8Array, flags: number, address: Uint8Array): Received {
    const size = new Uint32Array([address.length]);
    for (;;) {
      const length = Number(rareLibc().recvfrom(this.#fd, buffer, buffer.length, flags, address, size));
      if (length >= 0) return { length };
      const why = errno();
      if (why !== ERRNO.EINTR) return { errno: why };
    }
  }

  ioctl(request: number, argument: Uint8Array): void {
    checked(`ioctl 0x${request.toString(16)}`, rareLibc().ioctl(this.#fd, request, argument));
  }

  /** Closing twice is harmless. */
  close(): void {
    if (this.#fd < 0) return;
    libc().close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
