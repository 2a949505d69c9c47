import { DecodeError, ERRNO, ErrnoError } from '#base/errors.ts';
import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';
import { netlinkAddress } from './connection.ts';
import { forEachMessage, type NetlinkMessage } from './message.ts';

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;

export interface MonitorOptions {
  readonly protocol: number;
  /** Multicast group numbers (not bits), e.g. RTNLGRP_LINK = 1. */
  readonly groups: readonly number[];
  /** Bytes of receive buffer; default 8 MiB. */
  readonly receiveBuffer?: number;
  readonly onMessage: (message: NetlinkMessage) => void;
  /** Notifications were lost (ENOBUFS) or cannot be decoded: only reading everything again helps. */
  readonly onOverrun: () => void;
  /** Period of the drain that does not wait for a signal, ms; default 2,000. */
  readonly safetyMs?: number;
}

/**
 * Multicast notifications. SIGURG on arrival wakes the event loop, the handler drains the socket: no thread, no polling,
 * no busy loop. A slow timer covers a signal that got lost.
 */
export class NetlinkMonitor implements Disposable {
  readonly #socket: Socket;
  readonly #options: MonitorOptions;
  readonly #buffer = new Uint8Array(64 * 1024);
  readonly #onSignal = () => this.drain();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#socket = Socket.open(AF.NETLINK, SOCK.RAW, options.protocol);
    try {
      this.#socket.setReceiveBuffer(options.receiveBuffer ?? 8 << 20);
      this.#socket.bind(netlinkAddress());
      for (const group of options.groups) this.#socket.setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
      // The handler must be there before the first signal: SIGURG without one is ignored, but would be lost.
      process.on('SIGURG', this.#onSignal);
      this.#socket.signalOnInput();
    } catch (error) {
      process.off('SIGURG', this.#onSignal);
      this.#socket.close();
      throw error;
    }
    this.#timer = setInterval(this.#onSignal, options.safetyMs ?? 2000);
  }

  /** Hands over everything that has arrived; returns at once. */
  drain(): void {
    for (;;) {
      if (this.#socket.fd < 0) return;
      const received = this.#socket.receive(this.#buffer, MSG.DONTWAIT | MSG.TRUNC);
      if ('errno' in received) {
        if (received.errno === ERRNO.EAGAIN) return;
        if (received.errno !== ERRNO.ENOBUFS) throw new ErrnoError('netlink notifications', received.errno);
        this.#options.onOverrun();
      } else if (received.length > this.#buffer.length) this.#options.onOverrun();
      else this.#deliver(this.#buffer.subarray(0, received.length));
    }
  }

  /** What cannot be decoded, here or by the receiver, is as good as lost; the event loop must not hear of it. */
  #deliver(datagram: Uint8Array): void {
    try {
      forEachMessage(datagram, this.#options.onMessage);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#options.onOverrun();
    }
  }

  close(): void {
    clearInterval(this.#timer);
    process.off('SIGURG', this.#onSignal);
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
