import { ByteWriter } from '#base/bytes.ts';
import { DecodeError, ERRNO, ErrnoError, FlannelError, hasErrno } from '#base/errors.ts';
import { readI32 } from '#base/bytes.ts';
import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import {
  forEachMessage,
  NetlinkError,
  NLM_F,
  NLMSG,
  readAck,
  writeMessage,
  type NetlinkMessage,
  type NetlinkRequest,
} from './message.ts';

/** `linux/netlink.h`: protocols. */
export const NETLINK = { ROUTE: 0, NETFILTER: 12, GENERIC: 16, XFRM: 6 } as const;

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** Requests per send: acknowledgements of more could overrun a default receive buffer (600 did, 192 never). */
const BATCH = 192;
/** The kernel fills a dump datagram up to 32 KiB; single answers may be longer. */
const BUFFER = 128 * 1024;
/** Half of the usual `net.core.wmem_default`, which every socket starts with. */
const SEND_BUFFER = 100_000;
const DUMP_TRIES = 20;

export interface ConnectionOptions {
  /** Bound of one receive; default 5,000 ms. A healthy kernel answers within the send. */
  readonly timeoutMs?: number;
}

/** What a connection needs of its socket. */
export type Transport = Pick<Socket, 'send' | 'receive' | 'setSendBuffer' | 'close'>;

/** A request-answer netlink socket, synchronous. Not for notifications: those have a monitor of their own. */
export class NetlinkConnection implements Disposable {
  readonly #socket: Transport;
  readonly #out = new ByteWriter(4096);
  #buffer = new Uint8Array(0);
  #sequence = 0;
  #sendBuffer = SEND_BUFFER;

  private constructor(socket: Transport) {
    this.#socket = socket;
  }

  /** Over a socket that is open and set up already. */
  static over(socket: Transport): NetlinkConnection {
    return new NetlinkConnection(socket);
  }

  /** Opens in the current network namespace; the socket stays in it. */
  static open(protocol: number, options: ConnectionOptions = {}): NetlinkConnection {
    const socket = Socket.open(AF.NETLINK, SOCK.RAW, protocol);
    try {
      socket.setTimeout(options.timeoutMs ?? 5000);
      socket.setReceiveBuffer(1 << 20);
      socket.bind(netlinkAddress());
      socket.setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1);
      socket.setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1);
      if (protocol === NETLINK.ROUTE) askForFilters(socket);
    } catch (error) {
      socket.close();
      throw error;
    }
    return new NetlinkConnection(socket);
  }

  /** Sends one request and waits for its acknowledgement. Throws the kernel's error. */
  execute(request: NetlinkRequest): void {
    const [error] = this.batch([request]);
    if (error !== undefined) throw error;
  }

  /** Sends one GET and decodes the single answer. Throws the kernel's error. */
  get<T>(request: NetlinkRequest, decode: (message: NetlinkMessage) => T): T {
    const sequence = this.#send([request], 0);
    let result: { readonly value: T } | undefined;
    let failure: NetlinkError | undefined;
    this.#receive(request.what, (message) => {
      if (message.sequence !== sequence) return false;
      if (message.type === NLMSG.ERROR) failure = readAck(message, request.what);
      else result = { value: decode(message) };
      return true;
    });
    if (failure !== undefined) throw failure;
    if (result === undefined)
      throw new FlannelError('kernel', `${request.what}: acknowledged without an answer`);
    return result.value;
  }

  /**
   * Sends a DUMP and decodes every entry; `decode` returns undefined for entries to leave out. A dump that the kernel
   * marks as interrupted (NLM_F_DUMP_INTR: the table changed meanwhile) is made again.
   */
  dump<T>(request: NetlinkRequest, decode: (message: NetlinkMessage) => T | undefined): T[] {
    for (let attempt = 0; attempt < DUMP_TRIES; attempt += 1) {
      const entries = this.#dumpOnce(request, decode);
      if (entries !== undefined) return entries;
    }
    throw new FlannelError('kernel', `${request.what}: the table changed during each of ${DUMP_TRIES} reads`);
  }

  /**
   * Sends many requests, several per datagram, and matches each acknowledgement. The result has one place per request:
   * undefined when done, else the kernel's error. A failed request does not stop the others.
   */
  batch(requests: readonly NetlinkRequest[]): (NetlinkError | undefined)[] {
    const results: (NetlinkError | undefined)[] = [];
    for (let at = 0; at < requests.length; at += BATCH) {
      results.push(...this.#batchOnce(requests.slice(at, at + BATCH)));
    }
    return results;
  }

  /**
   * Sends `requests` and behind them, in the same datagram, a GET, and decodes its answer: it sees what they have done.
   * `errors` has a place for each of `requests` and the last for the GET, whose `answer` is undefined when it failed.
   */
  batchAndGet<T>(
    requests: readonly NetlinkRequest[],
    get: NetlinkRequest,
    decode: (message: NetlinkMessage) => T,
  ): { readonly errors: readonly (NetlinkError | undefined)[]; readonly answer: T | undefined } {
    const all = [...requests, get];
    const first = this.#send(all, 0);
    const errors = all.map((): NetlinkError | undefined => undefined);
    let answer: T | undefined;
    this.#receive(get.what, (message) => {
      const index = message.sequence - first;
      const request = all[index];
      if (request === undefined) return false;
      if (message.type === NLMSG.ERROR) errors[index] = readAck(message, request.what);
      else answer = decode(message);
      return index === requests.length;
    });
    return { errors, answer };
  }

  /**
   * Sends requests that belong together in one datagram (nf_tables' transactions) and returns the kernel's errors, in
   * the order it found them. Requests that carry NLM_F_ACK must be acknowledged when there is no error: mark one, so
   * that silence is not taken for success. Throws ENOBUFS when an answer was lost; what was done is then unknown.
   */
  transaction(requests: readonly NetlinkRequest[]): NetlinkError[] {
    const first = this.#send(requests, 0);
    const errors: NetlinkError[] = [];
    const awaited = requests.filter(({ flags }) => (flags & NLM_F.ACK) !== 0).length;
    let acknowledged = 0;
    // The kernel has handled all of it when send returns: whatever it says is already here.
    this.#drain((message) => {
      const request = requests[message.sequence - first];
      if (message.type !== NLMSG.ERROR || request === undefined) return;
      const error = readAck(message, request.what);
      if (error === undefined) acknowledged += 1;
      else errors.push(error);
    });
    if (errors.length === 0 && acknowledged < awaited) {
      throw new FlannelError('kernel', `${requests[0]?.what ?? 'transaction'}: not acknowledged`);
    }
    return errors;
  }

  close(): void {
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * The kernel handles the messages of a datagram in order and reports every failure unasked, so only the last one asks
   * for an acknowledgement: whatever has not failed by then is done. A lost report shows as ENOBUFS.
   */
  #batchOnce(requests: readonly NetlinkRequest[]): (NetlinkError | undefined)[] {
    const last = requests.length - 1;
    const first = this.#send(requests, 0, NLM_F.ACK);
    const results = requests.map((): NetlinkError | undefined => undefined);
    this.#receive(requests[0]?.what ?? 'batch', (message) => {
      const index = message.sequence - first;
      const request = requests[index];
      if (request === undefined || message.type !== NLMSG.ERROR) return false;
      results[index] = readAck(message, request.what);
      return index === last;
    });
    return results;
  }

  #dumpOnce<T>(request: NetlinkRequest, decode: (message: NetlinkMessage) => T | undefined): T[] | undefined {
    const sequence = this.#send([request], NLM_F.DUMP);
    const entries: T[] = [];
    let interrupted = false;
    let failure: NetlinkError | undefined;
    let undecodable: { readonly error: unknown } | undefined;
    this.#receive(request.what, (message) => {
      if (message.sequence !== sequence) return false;
      if ((message.flags & NLM_F.DUMP_INTR) !== 0) interrupted = true;
      if (message.type === NLMSG.ERROR) {
        failure = readAck(message, request.what);
        return true;
      }
      if (message.type === NLMSG.DONE) {
        // NLMSG_DONE carries the dump's own result, 0 or a negative errno.
        const errno = message.payload.length >= 4 ? -readI32(message.payload) : 0;
        if (errno > 0) failure = new NetlinkError(request.what, errno);
        return true;
      }
      try {
        const entry = decode(message);
        if (entry !== undefined) entries.push(entry);
      } catch (error) {
        // To the end all the same: a dump that is left half read makes the socket's next one EBUSY.
        undecodable ??= { error };
      }
      return false;
    });
    if (undecodable !== undefined) throw undecodable.error;
    if (failure !== undefined) {
      if (failure.errno === ERRNO.EINTR) return undefined;
      throw failure;
    }
    return interrupted ? undefined : entries;
  }

  /** `lastFlags`: of the last request instead. Returns the sequence number of the first; the others follow on. */
  #send(requests: readonly NetlinkRequest[], flags: number, lastFlags = flags): number {
    if (this.#buffer.length === 0) this.#buffer = new Uint8Array(BUFFER);
    if (this.#sequence > 0x7fffffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#out.reset();
    const last = requests.at(-1);
    for (const request of requests) {
      this.#sequence += 1;
      writeMessage(this.#out, request, this.#sequence, request === last ? lastFlags : flags);
    }
    // One datagram must fit the send buffer whole (EMSGSIZE); requests of usual size stay far below its default.
    if (this.#out.length > this.#sendBuffer) {
      this.#sendBuffer = this.#out.length * 2;
      this.#socket.setSendBuffer(this.#sendBuffer);
    }
    this.#socket.send(this.#out.written());
    return first;
  }

  /** Receives until `each` returns true for some message; what follows in the same datagram is still handed over. */
  #receive(what: string, each: (message: NetlinkMessage) => boolean): void {
    for (let done = false; !done;) {
      const received = this.#socket.receive(this.#buffer, MSG.TRUNC);
      if ('errno' in received) throw new ErrnoError(what, received.errno, 'waiting for the kernel');
      forEachMessage(this.#datagram(received.length), (message) => {
        if (each(message)) done = true;
      });
    }
  }

  #drain(each: (message: NetlinkMessage) => void): void {
    for (;;) {
      const received = this.#socket.receive(this.#buffer, MSG.TRUNC | MSG.DONTWAIT);
      if ('errno' in received) {
        if (received.errno === ERRNO.EAGAIN) return;
        throw new ErrnoError('netlink receive', received.errno);
      }
      forEachMessage(this.#datagram(received.length), each);
    }
  }

  #datagram(length: number): Uint8Array {
    if (length > this.#buffer.length) {
      throw new DecodeError('netlink', this.#buffer.length, `a datagram of ${length} bytes was cut`);
    }
    return this.#buffer.subarray(0, length);
  }
}

/** From Linux 4.20 on, dumps honour the filters in their header; before, they answer with everything. */
function askForFilters(socket: Socket): void {
  try {
    socket.setOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
  } catch (error) {
    if (!hasErrno(error, 'ENOPROTOOPT')) throw error;
  }
}

/** `struct sockaddr_nl` with port 0 (the kernel chooses) and the given multicast groups (bit n-1 = group n). */
export function netlinkAddress(groups = 0): Uint8Array {
  return new ByteWriter(12).u16(AF.NETLINK).u16(0).u32(0).u32(groups).copy();
}
