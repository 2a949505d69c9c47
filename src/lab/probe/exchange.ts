/** One question to one of the lab's echo servers. */
export interface ProbeRequest {
  readonly proto: 'tcp' | 'udp';
  readonly host: string;
  readonly port: number;
  /** Bytes of payload that go there and come back; default 64. Over TCP more than one segment proves the MTU. */
  readonly bytes?: number;
  /** UDP: this text as payload instead, so that a capture can find the packet. */
  readonly text?: string;
  /** Default 1,500 ms. */
  readonly timeoutMs?: number;
}

/** What an echo server says about a question. */
export interface EchoAnswer {
  /** Who answers: pod, node or world. */
  readonly server: string;
  /** The address the server saw the question come from. */
  readonly source: string;
  readonly sourcePort: number;
  /** Payload bytes that arrived. */
  readonly bytes: number;
}

export type ProbeResult =
  | {
      readonly ok: true;
      readonly answer: EchoAnswer;
      /** The source address that the asking side used itself. */
      readonly local: string;
      readonly ms: number;
    }
  | { readonly ok: false; readonly error: string };

/** Strips the IPv4-mapped form that dual-stack sockets report. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** The body of an HTTP answer, undefined when the answer is not complete or not a 200. */
export function httpBody(text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n');
  return end >= 0 && /^HTTP\/1\.[01] 200 /.test(text) ? text.slice(end + 4) : undefined;
}

/** Parses what a server said; undefined when it is not an EchoAnswer. */
export function parseAnswer(text: string): EchoAnswer | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { server, source, sourcePort, bytes } = value as Partial<EchoAnswer>;
  const complete = typeof server === 'string' && typeof source === 'string';
  if (!complete || typeof sourcePort !== 'number' || typeof bytes !== 'number') return undefined;
  return { server, source, sourcePort, bytes };
}
