import { ms, summarise } from '../report.ts';
import type { FatCluster } from './fat-cluster.ts';
import type { MemoryLimit } from './memory-limit.ts';
import type { Figures } from './phases.ts';
import { Subject } from './subject.ts';

/**
 * Without the flag; without it, and flannelctl asks for status and plan once a second; with it and nobody there; with it and asked for
 * everything once a second by somebody who keeps nothing.
 */
const USES = ['off', 'flannelctl', 'unused', 'asked'] as const;
const URL = 'http://127.0.0.1:18474';

/** What the page costs the agent: memory and CPU, in turns so that all see the same machine. */
export async function pageCosts(
  cluster: FatCluster,
  options: { readonly limit: () => MemoryLimit; readonly program: string; readonly seconds: number },
): Promise<Record<string, Figures>> {
  const columns: Record<string, Figures> = {};
  for (const use of USES) {
    using limit = options.limit();
    const args = use === 'off' || use === 'flannelctl' ? [] : [`--ui-addr=${URL.slice('http://'.length)}`];
    await using subject = new Subject({ cluster, limit, program: options.program, args });
    await subject.ready();
    const ready = performance.now() - subject.started;
    await Bun.sleep(2000);
    subject.check();
    const cpu = subject.cpuMs().all;
    const began = performance.now();
    const answers = await USED[use](subject, options.seconds);
    const share = ((subject.cpuMs().all - cpu) / (performance.now() - began)) * 100;
    const { peakMiB, reclaims } = limit.charged() ?? { peakMiB: 0, reclaims: 0 };
    columns[use] = {
      'ready ms': ready.toFixed(0),
      'CPU %': share.toFixed(2),
      'anonymous MiB': subject.memory('RssAnon').toFixed(1),
      'cgroup peak MiB': `${peakMiB.toFixed(1)} (${reclaims} reclaims)`,
      ...answers,
    };
  }
  return columns;
}

const USED: Readonly<Record<(typeof USES)[number], (subject: Subject, seconds: number) => Promise<Figures>>> =
  { off: rest, flannelctl: askSocket, unused: rest, asked: askPage };

async function rest(_subject: Subject, seconds: number): Promise<Figures> {
  await Bun.sleep(seconds * 1000);
  return {};
}

/** Times of answers, by what was asked, ms. */
type Times = Record<string, number[]>;

async function timedFetch(
  into: number[] | undefined,
  url: string,
  init: { unix?: string } = {},
): Promise<void> {
  const start = performance.now();
  const answer = await fetch(url, init);
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  into?.push(performance.now() - start);
}

async function askSocket(subject: Subject, seconds: number): Promise<Figures> {
  const times: Times = { status: [], plan: [] };
  for (let second = 0; second < seconds; second += 1) {
    const began = performance.now();
    subject.check();
    for (const name of Object.keys(times))
      await timedFetch(times[name], `http://flanneld/${name}`, { unix: subject.socket });
    await Bun.sleep(Math.max(0, began + 1000 - performance.now()));
  }
  return figuresOf(times);
}

async function askPage(subject: Subject, seconds: number): Promise<Figures> {
  const times: Times = { overview: [], peers: [], peer: [], stall: [] };
  const timed = (name: string, path: string) => timedFetch(times[name], `${URL}${path}`);
  for (let second = 0; second < seconds; second += 1) {
    const began = performance.now();
    subject.check();
    const list = timed('peers', '/api/peers');
    // How long another question waits meanwhile.
    while (performance.now() - began < 200) await timed('stall', '/page.css');
    await list;
    await timed('overview', '/api/overview');
    await timed('peer', `/api/peers/node-${String(1 + second).padStart(5, '0')}`);
    await Bun.sleep(Math.max(0, began + 1000 - performance.now()));
  }
  return figuresOf(times);
}

function figuresOf(times: Times): Figures {
  return Object.fromEntries(
    Object.entries(times).map(([name, sample]) => {
      const { median } = summarise(sample);
      return [`${name} ms (median / most)`, `${ms(median)} / ${ms(Math.max(...sample))}`];
    }),
  );
}
