import { AF, MSG, SOCK, Socket } from '#ffi/socket.ts';

/** The datagram socket that systemd holds, for tests; a path with a leading `@` is abstract. */
export class NotifySocket implements Disposable {
  readonly path: string;
  readonly #socket: Socket;

  constructor(path: string) {
    this.path = path;
    this.#socket = Socket.open(AF.UNIX, SOCK.DGRAM, 0);
    const name = new TextEncoder().encode(path);
    const address = new Uint8Array(2 + name.length);
    address[0] = AF.UNIX;
    address.set(name, 2);
    if (path.startsWith('@')) address[2] = 0;
    this.#socket.bind(address);
  }

  /** All messages that have arrived since the last call. */
  received(): string[] {
    const list: string[] = [];
    for (;;) {
      const buffer = new Uint8Array(512);
      const result = this.#socket.receive(buffer, MSG.DONTWAIT);
      if ('errno' in result) return list;
      list.push(new TextDecoder().decode(buffer.subarray(0, result.length)));
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
