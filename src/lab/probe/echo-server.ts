import { plainAddress, type EchoAnswer } from './exchange.ts';

export interface EchoServerOptions {
  /** What it calls itself. */
  readonly name: string;
  readonly port: number;
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
  const udp = await Bun.udpSocket({
    hostname: '0.0.0.0',
    port: options.port,
    socket: {
      data(socket, data, port, address) {
        const text = JSON.stringify(answer(address, port, data.length));
        socket.send(Buffer.concat([Buffer.from(`${text}\n`), data.subarray(0, 64)]), port, address);
      },
    },
  });
  return {
    async stop() {
      udp.close();
      await http.stop(true);
    },
  };
}
