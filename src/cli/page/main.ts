import { describe } from '#base/errors.ts';
import { nodeSource } from '#daemon/page/source.ts';
import { writeStandardOutput } from '#lab/report/screen.ts';
import { pageUrl, parsePageAddress } from '#page/server/address.ts';
import { servedAt } from '#page/server/guard.ts';
import { createPageHandler } from '#page/server/handler.ts';
import { listenPage } from '#page/server/listen.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { NODE_HELP, parseNode, type NodeOptions } from '../node/options.ts';
import { nodeAnswers } from './answers.ts';

const WORDS = { addr: '127.0.0.1:8474' } as const;

export const PAGE_HELP = `usage: flannelctl page [flags]

Serves the page of this node until Ctrl-C: the overlay as a map, peers with their kernel entries, pods, rules, repairs. It asks the
agent at its socket and the kernel, and only while somebody has the page open. The agent needs no flag for it; without the agent
the page shows what its files and the kernel say. From elsewhere: ssh -L 8474:127.0.0.1:8474 <node>.

  --addr <[IP:]port>         where to listen (${WORDS.addr}); others than loopback are open to everybody who reaches them
${NODE_HELP.slice(NODE_HELP.indexOf('  --run-dir'))}`;

/** `flannelctl page`. Returns the exit code. */
export async function pageMain(args: readonly string[]): Promise<number> {
  const parsed = parseNode('page', args, WORDS);
  if (parsed === 'help') {
    writeStandardOutput(PAGE_HELP);
    return 0;
  }
  const { node, given } = parsed;
  const address = parsePageAddress(given.addr, '--addr');
  await using server = listenPage(address, handlerFor(node, servedAt(address.ip)));
  writeStandardOutput(`the page of this node: ${pageUrl(server.address)}\n`);
  if (!address.ip.isLoopback())
    console.error('flannelctl: the page is open to everybody who reaches this address, without a password');
  await interrupted();
  return 0;
}

function handlerFor(
  node: NodeOptions,
  isServed: ReturnType<typeof servedAt>,
): (request: Request) => Promise<Response> {
  const { ipamDir, bridge, runDir } = node;
  const source = nodeSource({
    answers: nodeAnswers(node, { now: () => performance.now() }),
    openKernel: () => Rtnetlink.open(),
    now: () => Date.now(),
    ipamDir,
    bridge,
    enter: true,
    env: process.env,
  });
  return createPageHandler({
    source,
    files: async () => (await import('#page/server/assets.ts')).pageFiles,
    isServed,
    onFault: (error) => console.error(`flannelctl: the page (${runDir}): ${describe(error)}`),
  });
}

/** Ctrl-C is the way out of it, and no fault. */
async function interrupted(): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const end = () => ended.resolve();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  try {
    await ended.promise;
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}
