import { describe } from '#base/errors.ts';
import { enterNetns, Netns } from '#ffi/netns.ts';
import { servedAt } from '#page/server/guard.ts';
import { createPageHandler } from '#page/server/handler.ts';
import { pageUrl, type PageAddress } from '#page/server/address.ts';
import { listenPage } from '#page/server/listen.ts';
import { runningLab } from '../command/running.ts';
import { isLabProcess } from '../process/processes.ts';
import { labEnvironment } from '../process/run.ts';
import type { Screen } from '../report/screen.ts';
import { labPaths } from '../state/paths.ts';
import { labView } from './view.ts';
import { Walks } from './walks.ts';

/** How often it is looked whether the lab still runs, ms. */
const WATCH_MS = 500;

/** `lab page`: serves the page of a running lab until Ctrl-C, or until the lab is gone (then 1). */
export async function page(name: string, address: PageAddress, screen: Screen): Promise<number> {
  const { pid } = runningLab(name);
  const { folder } = labPaths(name, process.env);
  const env = labEnvironment(folder);
  const walks = new Walks(() => runningLab(name), env);
  const answer = createPageHandler({
    source: {},
    files: async () => (await import('#page/server/assets.ts')).pageFiles,
    isServed: servedAt(address.ip),
    routes: [
      { method: 'GET', path: '/api/lab', answer: () => labView(runningLab(name)) },
      { method: 'POST', path: '/api/walks', answer: (body) => walks.start(body) },
    ],
    onFault: (error) => screen.line(screen.paint('red', `the page: ${describe(error)}`)),
  });
  await using server = listenPage(address, answer);
  // The socket stays where it was made. Without root only a namespace of the lab's own user can be left and entered again.
  using underlay = Netns.open(`/proc/${pid}/ns/net`);
  enterNetns(underlay);
  // From here on Ctrl-C is no abrupt end: whoever reads the address may press it at once.
  const ended = untilEnd(() => isLabProcess(pid, folder), screen);
  screen.line(`the page of lab "${name}": ${pageUrl(server.address)}`);
  if (!address.ip.isLoopback())
    screen.line(screen.paint('yellow', 'whoever reaches this address sees the lab and sends packets in it'));
  return await ended;
}

/** 0 after Ctrl-C, 1 when the lab went first. */
async function untilEnd(runs: () => boolean, screen: Screen): Promise<number> {
  const ended = Promise.withResolvers<number>();
  const end = () => ended.resolve(0);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  const timer = setInterval(() => {
    if (!runs()) ended.resolve(1);
  }, WATCH_MS);
  try {
    const code = await ended.promise;
    if (code !== 0) screen.line('the lab is gone');
    return code;
  } finally {
    clearInterval(timer);
    for (const signal of signals) process.off(signal, end);
  }
}
