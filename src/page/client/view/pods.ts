import type { ComponentChildren, VNode } from 'preact';
import type { PodView } from '../../model.ts';
import { podKey } from '../map/node-card.ts';
import { h } from './h.ts';
import { shownNode, type App } from './app.ts';
import { searchField } from './search.ts';
import { lines, mono, sparkline, tag, text } from './parts.ts';

/** The pods on the bridge, with what they send and receive. */
export function podsView(app: App): VNode {
  const { state, t, f } = app;
  const { pods, name } = shownNode(state);
  const words = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = pods.filter((pod) => {
    const all = [pod.name, ...pod.addresses, pod.container, pod.veth, pod.mac, pod.network]
      .join('\n')
      .toLowerCase();
    return words.every((word) => all.includes(word));
  });
  const named = pods.some((pod) => pod.name !== undefined);
  const c = t.pods.columns;
  const heads: [string, string][] = [
    ...(named ? ([['name', c.pod]] as [string, string][]) : []),
    ['address', c.address],
    ['state', c.state],
    ['rate', c.received],
    ['rate', c.sent],
    ['spark', c.last],
    ['veth', c.veth],
    ['mac', c.mac],
    ['container', c.container],
  ];
  return h(
    'section',
    { class: 'pane pods', 'aria-label': t.pods.caption },
    h(
      'div',
      { class: 'tools' },
      searchField(app, { label: t.pods.filter, placeholder: t.pods.filter }),
      h('span', { class: 'count' }, `${f.count(found.length)} / ${f.count(pods.length)}`),
    ),
    h(
      'div',
      { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': t.pods.caption },
      h(
        'table',
        { 'aria-label': t.pods.caption },
        h(
          'thead',
          null,
          h(
            'tr',
            null,
            heads.map(([kind, label]) => h('th', { key: label, scope: 'col', class: `c-${kind}` }, label)),
          ),
        ),
        h(
          'tbody',
          null,
          found.map((pod) => row(app, name, { pod, named })),
        ),
      ),
      found.length === 0 && h('p', { class: 'nothing' }, pods.length === 0 ? t.pods.empty : t.pods.none),
    ),
  );
}

function row(app: App, node: string, { pod, named }: { pod: PodView; named: boolean }): VNode {
  const { state, f, t } = app;
  const meter = `pod ${node} ${podKey(pod)}`;
  const rate = state.meter.rate(meter);
  const history = state.meter.history(meter);
  return h(
    'tr',
    { key: podKey(pod) },
    named && h('th', { scope: 'row', class: 'c-name' }, text(pod.name ?? '', 48)),
    h(named ? 'td' : 'th', { class: 'c-address', ...(named ? {} : { scope: 'row' }) }, lines(pod.addresses)),
    h('td', { class: 'c-state' }, podState(t, pod)),
    h(
      'td',
      { class: 'c-rate num', title: totals(app, pod, 'rx') },
      rateCell(app, rate?.rxBytes),
      dropped(app, pod),
    ),
    h('td', { class: 'c-rate num', title: totals(app, pod, 'tx') }, rateCell(app, rate?.txBytes)),
    h('td', { class: 'c-spark' }, sparkline(history, t.pods.trend(f.rate(Math.max(0, ...history))))),
    h('td', { class: 'c-veth' }, pod.veth === undefined ? '' : mono(pod.veth, 20)),
    h('td', { class: 'c-mac' }, pod.mac === undefined ? '' : mono(pod.mac)),
    h(
      'td',
      { class: 'c-container', title: pod.container },
      pod.container === undefined ? '' : mono(pod.container.slice(0, 12)),
    ),
  );
}

function rateCell({ f }: App, bytes: number | undefined): ComponentChildren {
  if (bytes === undefined) return '–';
  return bytes === 0 ? h('span', { class: 'idle' }, f.count(0)) : f.rate(bytes);
}

function totals({ t, f }: App, { counters }: PodView, way: 'rx' | 'tx'): string | undefined {
  if (counters === undefined) return undefined;
  return t.pods.totals(f.bytes(counters[`${way}Bytes`]), f.count(counters[`${way}Packets`]));
}

function dropped({ t, f }: App, { counters }: PodView): VNode | null {
  if (counters === undefined || counters.dropped === 0) return null;
  return h('small', { class: 'warn' }, t.pods.dropped(f.count(counters.dropped)));
}

function podState(t: App['t'], { namespace, up, veth }: PodView): VNode {
  if (namespace === 'gone') return tag('bad', t.pods.state.gone);
  if (veth === undefined) return tag('warn', t.pods.state.reserved);
  return up === false ? tag('bad', t.pods.state.down) : tag('ok', t.pods.state.up);
}
