import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { plainAddress, type EchoAnswer } from './exchange.ts';

export interface EchoServerOptions {
  /** What it calls itself. */
  readonly name: string;
  readonly port: number;
  /**
   * Addresses with a UDP socket of their own: the answer of a wildcard socket leaves with the address of its route, which
   * on a node with several is not always the one that was asked.
   */
  readonly addresses?: readonly string[];
}

/**
 * The workload of every pod, node and of the world: says by HTTP and UDP who it is and what source address it saw. A UDP
 * answer carries the first 64 bytes of the question behind its JSON, so that a capture can match the two.
 */
export async function startEchoServer(options: EchoServerOptions): Promise<{ stop(): Promise<void> }> {
  const answer = (source: string, sourcePort: number, bytes: number): EchoAnswer => ({
    server: options.name,
    source: plainAddress(source),
    sourcePort,
    bytes,
  });
  const http = Bun.serve({
    hostname: '0.0.0.0',
    port: options.port,
    async fetch(request, server) {
      const from = server.requestIP(request);
      const body = await request.arrayBuffer();
      return Response.json(answer(from?.address ?? '', from?.port ?? 0, body.byteLength), {
        headers: { connection: 'close' },
      });
    },
  });
  const udp = await Promise.all(
    ['0.0.0.0', ...(options.addresses ?? [])].map((address) =>
      bindUdp(address, options.port, (from, bytes) => JSON.stringify(answer(from.address, from.port, bytes))),
    ),
  );
  return {
    async stop() {
      for (const socket of udp) socket.close();
      await http.stop(true);
    },
  };
}

/** Bytes; the kernel gives what `net.core.rmem_max` allows. A server that gets no processor for a while loses nothing so. */
const RECEIVE_BUFFER = 1 << 20;

/** `reply` makes the first line of the answer; behind it the first 64 bytes of the question go back. */
function bindUdp(
  address: string,
  port: number,
  reply: (from: RemoteInfo, bytes: number) => string,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  // The kernel takes the socket bound to the address itself before the wildcard one.
  const socket = createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: RECEIVE_BUFFER });
  socket.on('message', (data, from) => {
    const head = Buffer.from(`${reply(from, data.length)}\n`);
    // An answer that cannot be sent is a lost packet, not the end of the server.
    socket.send(Buffer.concat([head, data.subarray(0, 64)]), from.port, from.address, () => {});
  });
  socket.once('error', reject);
  socket.bind(port, address, () => resolve(socket));
  return promise;
}
