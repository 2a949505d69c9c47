import { FlannelError } from '#base/errors.ts';
import { writeStandardOutput } from '../report/screen.ts';
import { LISTENING } from '../serve/echo.ts';
import { probe } from './client.ts';
import { startEchoServer } from './echo-server.ts';
import type { ProbeRequest } from './exchange.ts';

/** Inner command `__echo <name> <port> <address>...`: an echo server until it is killed. */
export async function echoMain(args: readonly string[]): Promise<number> {
  const [name = '', port = '', ...addresses] = args;
  await startEchoServer({ name, port: Number(port), addresses });
  writeStandardOutput(LISTENING);
  await new Promise<never>(() => {});
  return 0;
}

/** Inner command `__probe <requests as JSON>`: asks all of them and prints the results, in their order, as JSON. */
export async function probeMain(argument: string): Promise<number> {
  const requests: unknown = JSON.parse(argument);
  if (!Array.isArray(requests)) throw new FlannelError('bug', '__probe takes a list of requests');
  const results = await Promise.all(requests.map((request: ProbeRequest) => probe(request)));
  writeStandardOutput(`${JSON.stringify(results)}\n`);
  return 0;
}
