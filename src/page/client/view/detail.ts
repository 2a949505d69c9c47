import type { ComponentChildren, VNode } from 'preact';
import type { EntryView, PeerView, ProbeView } from '../../model.ts';
import { formatRoute, type Route } from '../data/route.ts';
import { h } from './h.ts';
import { shownNode, type App } from './app.ts';
import { button, failureText, lines, mono, tag, text } from './parts.ts';

const TONES: Readonly<Record<EntryView['state'], string>> = {
  present: 'ok',
  missing: 'bad',
  other: 'bad',
  refused: 'bad',
  unread: 'warn',
};

/** One peer: what is known of it, its entries compared with the kernel, a probe. Undefined when none is chosen. */
export function detail(app: App): VNode | null {
  const { state, t } = app;
  const { name, view, node } = state.route;
  if (name === undefined || (view === 'map' && state.mode === 'lab')) return null;
  const listed = shownNode(state).peers.find((peer) => peer.name === name);
  const own = state.detail.name === name ? state.detail : undefined;
  const peer = listed ?? own?.value;
  const back: Route = { view, ...(node === undefined ? {} : { node }) };
  return h(
    'aside',
    { class: 'detail', 'aria-label': t.detail.label, key: name },
    h(
      'header',
      null,
      h('h2', { tabIndex: -1 }, text(name, 80)),
      button('✕', () => app.act.go(back), {
        class: 'icon',
        'aria-label': t.detail.close,
        title: t.detail.close,
      }),
    ),
    peer === undefined
      ? h('p', { class: 'nothing' }, own?.running === true ? t.detail.loading : t.detail.gone)
      : [known(app, peer), state.mode === 'node' ? [entries(app, name, peer), probe(app, name)] : null],
    otherView(app, name),
  );
}

function otherView({ state, t }: App, name: string): VNode | null {
  if (state.mode === 'lab') return null;
  const other = state.route.view === 'map' ? 'peers' : 'map';
  const label = other === 'map' ? t.detail.onMap : t.detail.inTable;
  return h('p', { class: 'more' }, h('a', { href: formatRoute({ view: other, name }) }, label));
}

function known({ t }: App, peer: PeerView): VNode {
  const facts: [string, ComponentChildren][] = [
    [
      t.peers.columns.state,
      [
        tag(peer.state, t.state[peer.state]),
        h('small', null, peer.why === undefined ? t.stateWhy[peer.state] : text(peer.why, 300)),
      ],
    ],
    [t.detail.subnets, lines(peer.subnets)],
    [t.detail.addresses, lines(peer.publicIps)],
    ...(peer.vtepMac === undefined
      ? []
      : [[t.detail.mac, mono(peer.vtepMac)] as [string, ComponentChildren]]),
  ];
  return h(
    'dl',
    { class: 'facts' },
    facts.map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', null, value))),
  );
}

function entries({ state, t, act }: App, name: string, peer: PeerView): VNode {
  const { detail } = state;
  const mine = detail.name === name ? detail : undefined;
  const list = mine?.value?.entries;
  return h(
    'section',
    { 'aria-busy': mine?.running === true },
    h(
      'h3',
      null,
      t.detail.entries,
      button(t.detail.again, () => act.compare(name), { class: 'quiet', disabled: mine?.running === true }),
    ),
    mine?.failure !== undefined &&
      h('p', { class: 'troubles bad' }, t.detail.failed, ' ', failureText(t, mine.failure)),
    list === undefined
      ? mine?.failure === undefined && h('p', { class: 'nothing' }, t.detail.loading)
      : list.length === 0
        ? h('p', { class: 'nothing' }, peer.why === undefined ? t.detail.noEntries : text(peer.why, 300))
        : h(
            'ul',
            { class: 'entries' },
            list.map((entry, i) => entryItem(t, entry, i)),
          ),
  );
}

function entryItem(t: App['t'], { type, text: line, state, found }: EntryView, key: number): VNode {
  return h(
    'li',
    { key, class: `entry ${TONES[state]}` },
    h('span', { class: 'kind' }, t.detail.type[type]),
    tag(TONES[state], t.detail.entry[state]),
    h('code', null, text(line, 400)),
    found === undefined
      ? null
      : h('span', { class: 'found' }, t.detail.found, ' ', h('code', null, text(found, 400))),
  );
}

function probe({ state, t, f, act }: App, name: string): VNode {
  const mine = state.probe.name === name ? state.probe : undefined;
  return h(
    'section',
    null,
    h(
      'h3',
      null,
      t.detail.probe,
      button(mine?.running === true ? t.detail.probing : t.detail.probe, () => act.probe(name), {
        class: 'primary',
        disabled: mine?.running === true,
        title: t.detail.probeWhat,
      }),
    ),
    h(
      'div',
      { role: 'status' },
      mine?.failure !== undefined && h('p', { class: 'troubles bad' }, failureText(t, mine.failure)),
      mine?.value === undefined
        ? mine === undefined && h('p', { class: 'nothing' }, t.detail.probeWhat)
        : results(mine.value, { t, f }),
    ),
  );
}

function results({ at, results: list }: ProbeView, { t, f }: Pick<App, 't' | 'f'>): VNode {
  if (list.length === 0) return h('p', { class: 'nothing' }, t.detail.probeNone);
  return h(
    'ul',
    { class: 'entries' },
    list.map(({ over, from, to, ms, why }, i) =>
      h(
        'li',
        { key: i, class: `entry ${ms === undefined ? 'bad' : 'ok'}` },
        h('span', { class: 'kind' }, t.detail.over[over]),
        tag(ms === undefined ? 'bad' : 'ok', ms === undefined ? t.detail.noAnswer : f.ms(ms)),
        h('code', null, text(`${from} → ${to}`, 120)),
        why === undefined ? null : h('span', { class: 'found' }, text(why, 300)),
      ),
    ),
    h('li', { class: 'when' }, f.clock(at)),
  );
}
