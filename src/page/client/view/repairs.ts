import type { VNode } from 'preact';
import { episodes, type Episode } from '../data/timeline.ts';
import { h } from './h.ts';
import { cut } from '../text/visible.ts';
import { shownNode, type App } from './app.ts';
import { text } from './parts.ts';

/** A kind that this page does not know is called as the agent calls it. */
function kindName(t: App['t'], kind: string): string {
  const known = Object.hasOwn(t.repairs.kinds, kind) ? t.repairs.kinds[kind] : undefined;
  return known ?? cut(kind, 30);
}

/** Repairs as a timeline: what happened together is one point of it. */
export function repairsView({ state, t, f }: App): VNode {
  const { overview, repairs } = shownNode(state);
  const now = overview?.now ?? 0;
  const groups = episodes(repairs);
  let day = '';
  return h(
    'section',
    { class: 'pane prose', 'aria-label': t.repairs.caption },
    h('div', { class: 'tools' }, h('p', { class: 'count' }, t.repairs.newest)),
    groups.length === 0 && h('p', { class: 'nothing' }, t.repairs.none),
    h(
      'ol',
      { class: 'timeline' },
      groups.flatMap((episode) => {
        const its = f.day(episode.to);
        const heading = its === day ? null : h('li', { key: `day ${its}`, class: 'day' }, h('h2', null, its));
        day = its;
        return [heading, episodeItem(episode, { t, f, now })];
      }),
    ),
  );
}

function episodeItem(
  { from, to, counts, repairs }: Episode,
  { t, f, now }: Pick<App, 't' | 'f'> & { now: number },
): VNode {
  const span = f.clock(from) === f.clock(to) ? f.clock(to) : `${f.clock(from)} – ${f.clock(to)}`;
  return h(
    'li',
    { key: `${from} ${to}`, class: 'episode' },
    h(
      'header',
      null,
      h('time', { dateTime: isoOf(to), title: f.moment(to) }, span),
      h('small', null, f.ago(now - to)),
      h(
        'span',
        { class: 'kinds' },
        counts.map(([kind, count]) =>
          h('span', { key: kind, class: 'kind' }, t.repairs.objects(kindName(t, kind), f.count(count))),
        ),
      ),
    ),
    h(
      'ul',
      null,
      repairs.map(({ at, what }, i) =>
        h(
          'li',
          { key: i },
          from === to ? null : h('small', { class: 'num' }, f.clock(at)),
          h('code', null, text(what, 400)),
        ),
      ),
    ),
  );
}

function isoOf(at: number): string | undefined {
  return Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : undefined;
}
