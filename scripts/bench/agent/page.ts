import { ms, summarise } from '../report.ts';
import type { FatCluster } from './fat-cluster.ts';
import type { MemoryLimit } from './memory-limit.ts';
import type { Figures } from './phases.ts';
import { Subject } from './subject.ts';

/** Without the flag; with it and nobody there; asked for everything once a second by somebody who keeps nothing. */
const USES = ['off', 'unused', 'asked'] as const;
const URL = 'http://127.0.0.1:18474';

/** What the page costs the agent: memory and CPU, in turns so that all see the same machine. */
export async function pageCosts(
  cluster: FatCluster,
  options: { readonly limit: () => MemoryLimit; readonly program: string; readonly seconds: number },
): Promise<Record<string, Figures>> {
  const columns: Record<string, Figures> = {};
  for (const use of USES) {
    using limit = options.limit();
    const args = use === 'off' ? [] : [`--ui-addr=${URL.slice('http://'.length)}`];
    await using subject = new Subject({ cluster, limit, program: options.program, args });
    await subject.ready();
    const ready = performance.now() - subject.started;
    await Bun.sleep(2000);
    const cpu = subject.cpuMs().all;
    const began = performance.now();
    const answers: Figures =
      use === 'asked' ? await ask(subject, options.seconds) : await rest(options.seconds);
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

async function rest(seconds: number): Promise<Figures> {
  await Bun.sleep(seconds * 1000);
  return {};
}

async function ask(subject: Subject, seconds: number): Promise<Figures> {
  const times: Record<string, number[]> = { overview: [], peers: [], peer: [], stall: [] };
  const timed = async (name: string, path: string) => {
    const start = performance.now();
    const answer = await fetch(`${URL}${path}`);
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    times[name]?.push(performance.now() - start);
  };
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
  return Object.fromEntries(
    Object.entries(times).map(([name, sample]) => {
      const { median } = summarise(sample);
      return [`${name} ms (median / most)`, `${ms(median)} / ${ms(Math.max(...sample))}`];
    }),
  );
}
