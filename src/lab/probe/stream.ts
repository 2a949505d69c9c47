import { writeStandardOutput } from '../report/screen.ts';

/** Time between two packets of a stream, ms. */
export const STREAM_INTERVAL_MS = 10;
/** A socket that got no answer is closed after this: long enough for a machine that is busy. */
const PATIENCE_MS = 4000;

/**
 * Inner command `__stream <host> <port>`: a UDP question every 10 ms, each from a new port, so that no connection
 * tracking entry carries it past a missing rule; prints `<number> <ms since the epoch>` for every answer, until killed.
 */
export async function streamMain(host: string, port: string): Promise<number> {
  let next = performance.now();
  for (let number = 0; ; number += 1) {
    // A failed send (no route) is a lost packet like any other.
    void ask(host, Number(port), number).catch(() => {});
    // Time that was missed is not made up for: hundreds at one moment are another test.
    next = Math.max(next + STREAM_INTERVAL_MS, performance.now());
    await Bun.sleep(next - performance.now());
  }
}

async function ask(host: string, port: number, number: number): Promise<void> {
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port },
    socket: {
      data(open) {
        writeStandardOutput(`${number} ${performance.timeOrigin + performance.now()}\n`);
        open.close();
      },
      error: () => {},
    },
  });
  setTimeout(() => socket.close(), PATIENCE_MS);
  socket.send(String(number));
}
