import { ErrnoError } from '#base/errors.ts';
import { packSockaddr } from '#ffi/sockaddr.ts';
import type { Socket } from '#ffi/socket.ts';
import type { Ip } from '#net/ip.ts';
import { echoRequest, parseIcmp, quotedEcho, type IcmpMessage } from './icmp.ts';
import { arrived, icmpSocket, lookUntil, neverFragment, type Waiting } from './raw-socket.ts';

/** An echo request that is to be sent. */
export interface Echo {
  readonly from: Ip;
  readonly to: Ip;
  /** Length of the IP packet, bytes. */
  readonly length: number;
}

/** What became of one. */
export type EchoOutcome =
  /** `ms`: until the answer was seen. */
  | { readonly outcome: 'answered'; readonly ms: number }
  /** It is longer than a link on the way takes: `mtu` of that link, bytes, 0 when nobody says. */
  | { readonly outcome: 'too-big'; readonly mtu: number }
  | { readonly outcome: 'unreachable' }
  /** This machine did not send it. */
  | { readonly outcome: 'refused'; readonly error: ErrnoError }
  | { readonly outcome: 'silence' };

/** Sends all of them at once, unfragmented, and waits for answers. The outcomes are in the order of `echoes`. */
export async function sendEchoes(echoes: readonly Echo[], waiting: Waiting): Promise<readonly EchoOutcome[]> {
  const outcomes: (EchoOutcome | undefined)[] = echoes.map(() => undefined);
  const sent = new Float64Array(echoes.length);
  const [id = 0] = crypto.getRandomValues(new Uint16Array(1));
  using sockets = new EchoSockets();
  for (const [sequence, echo] of echoes.entries()) {
    try {
      const socket = sockets.of(echo.from);
      const request = echoRequest(echo.to.family, { id, sequence }, echo.length);
      sent[sequence] = performance.now();
      socket.sendTo(request, packSockaddr(echo.to));
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      outcomes[sequence] =
        error.code === 'EMSGSIZE' ? { outcome: 'too-big', mtu: 0 } : { outcome: 'refused', error };
    }
  }
  const look = () => {
    for (const { message, from } of sockets.messages()) {
      const known = echoOf(message, from);
      const echo = known?.id === id ? echoes[known.sequence] : undefined;
      if (known === undefined || echo === undefined) continue;
      // An answer is final; an error may come before it, from a packet that was sent twice.
      if (outcomes[known.sequence]?.outcome === 'answered') continue;
      outcomes[known.sequence] = outcomeOf(message, performance.now() - (sent[known.sequence] ?? 0));
    }
    return outcomes.every((outcome) => outcome !== undefined);
  };
  await lookUntil(look, waiting);
  return outcomes.map((outcome) => outcome ?? { outcome: 'silence' });
}

function echoOf(message: IcmpMessage, from: Ip) {
  return message.type === 'reply' ? message : quotedEcho(from.family, message.quoted);
}

function outcomeOf(message: IcmpMessage, ms: number): EchoOutcome {
  switch (message.type) {
    case 'reply':
      return { outcome: 'answered', ms };
    case 'too-big':
      return { outcome: 'too-big', mtu: message.mtu };
    case 'unreachable':
      return { outcome: 'unreachable' };
  }
}

/** One socket per source address. */
class EchoSockets implements Disposable {
  readonly #sockets = new Map<string, { readonly socket: Socket; readonly from: Ip }>();

  of(from: Ip): Socket {
    const known = this.#sockets.get(from.toString());
    if (known !== undefined) return known.socket;
    const socket = icmpSocket(from);
    this.#sockets.set(from.toString(), { socket, from });
    neverFragment(socket, from);
    return socket;
  }

  *messages(): Generator<{ readonly message: IcmpMessage; readonly from: Ip }> {
    for (const { socket, from } of this.#sockets.values()) {
      for (const packet of arrived(socket)) {
        const message = parseIcmp(from.family, packet);
        if (message !== undefined) yield { message, from };
      }
    }
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#sockets.values()) socket.close();
  }
}
