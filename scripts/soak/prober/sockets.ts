import { isIPv6 } from 'node:net';
import { Netns, withNetns } from '#ffi/netns.ts';

/** One for each family: a wildcard socket for IPv6 takes the port of IPv4 as well. */
const PORTS = { ipv4: 9001, ipv6: 9002 } as const;
const WILDCARD = { ipv4: '0.0.0.0', ipv6: '::' } as const;

/** First byte of a question and of an answer; behind it four bytes of number and the name of the pair. */
const [QUESTION, ANSWER] = [1, 2];
const HEAD = 5;
/** How long a socket for one question stays open, ms. */
const FRESH_LIFE = 2500;

/** Errors of earlier packets that may be waiting at one time. */
const ATTEMPTS = 10;

type Socket = Bun.udp.Socket<'buffer'>;
type OnAnswer = (pair: string, number: number) => void;

/** The sockets in one namespace: they ask, and they answer everybody who asks. */
export class PlaceSockets implements Disposable {
  readonly #netns: Netns;
  readonly #onAnswer: OnAnswer;
  readonly #sockets = new Map<'ipv4' | 'ipv6', Socket>();

  private constructor(netns: Netns, onAnswer: OnAnswer) {
    this.#netns = netns;
    this.#onAnswer = onAnswer;
  }

  static async open(path: string, onAnswer: OnAnswer): Promise<PlaceSockets> {
    const place = new PlaceSockets(Netns.open(path), onAnswer);
    for (const family of ['ipv4', 'ipv6'] as const)
      place.#sockets.set(family, await place.#bind(PORTS[family], WILDCARD[family]));
    return place;
  }

  /** Sends a question; one that the kernel refuses is a lost packet like any other. */
  ask(question: { pair: string; number: number; address: string; freshPort: boolean }): void {
    const { address, pair, number } = question;
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const packet = Buffer.alloc(HEAD + pair.length);
    packet.writeUInt8(QUESTION);
    packet.writeUInt32BE(number, 1);
    packet.write(pair, HEAD, 'latin1');
    if (question.freshPort) {
      void this.#bind(0, WILDCARD[family]).then(
        (socket) => {
          send(socket, packet, { port: PORTS[family], address });
          setTimeout(() => socket.close(), FRESH_LIFE);
        },
        () => {},
      );
      return;
    }
    const socket = this.#sockets.get(family);
    if (socket !== undefined) send(socket, packet, { port: PORTS[family], address });
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#netns.close();
  }

  /** The socket is made and bound inside the call, not later: it belongs to the place's namespace. */
  #bind(port: number, hostname: string): Promise<Socket> {
    let made: Promise<Socket> | undefined;
    withNetns(this.#netns, () => {
      made = Bun.udpSocket({
        port,
        hostname,
        binaryType: 'buffer',
        socket: {
          data: (socket, packet, port, address) => this.#take(socket, packet, { port, address }),
          error: () => {},
        },
      });
    });
    return made ?? Promise.reject(new Error('no socket'));
  }

  #take(socket: Socket, packet: Buffer, from: { port: number; address: string }): void {
    if (packet.length < HEAD) return;
    if (packet[0] === ANSWER) this.#onAnswer(packet.toString('latin1', HEAD), packet.readUInt32BE(1));
    if (packet[0] !== QUESTION) return;
    packet.writeUInt8(ANSWER);
    send(socket, packet, from);
  }
}

/**
 * Sends a packet. A send may report an error that belongs to an earlier packet (ICMP said that a pod is gone, `ip(7)`
 * IP_RECVERR) and then sends nothing, so it is tried again; a packet that has no route fails every time and counts as lost.
 */
function send(socket: Socket, packet: Buffer, to: { port: number; address: string }): void {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      socket.send(packet, to.port, to.address);
      return;
    } catch {
      // The next attempt, or lost.
    }
  }
}
