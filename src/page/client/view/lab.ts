import { Component, createRef, type VNode } from 'preact';
import type { LabView, Overview } from '../../model.ts';
import { seek, step, toggle, type Player, type Step } from '../data/player.ts';
import { formatRoute } from '../data/route.ts';
import { h } from './h.ts';
import { shownNode, type App } from './app.ts';
import { button, failureText, tag, text } from './parts.ts';

/** The lab's nodes in one line each, in place of the health of one node. */
export function labHealth({ state, t, f }: App): VNode | null {
  const { lab } = state;
  if (lab === undefined) return null;
  return h(
    'section',
    { class: 'health lab', 'aria-label': t.health.label },
    h(
      'dl',
      null,
      h(
        'div',
        null,
        h('dt', null, t.lab.name),
        h('dd', null, text(lab.name, 30), h('small', null, text(lab.backend, 24))),
      ),
      lab.nodes.map(({ name, ip, agent, overview }) =>
        h(
          'div',
          { key: name },
          h('dt', null, h('a', { href: formatRoute({ view: 'peers', node: name }) }, text(name, 30))),
          h(
            'dd',
            null,
            agent === 'down' ? tag('bad', t.lab.down) : nodeState(t, overview),
            h(
              'small',
              null,
              overview?.peers === undefined
                ? ip
                : t.health.programmed(f.count(overview.peers.programmed), f.count(overview.peers.wanted)),
            ),
          ),
        ),
      ),
    ),
  );
}

function nodeState(t: App['t'], overview: Overview | undefined): VNode {
  const state = overview?.health.state ?? 'waiting';
  const reasons = overview?.health.reasons.join('\n').slice(0, 500);
  return tag(
    state === 'ready' ? 'ok' : state === 'waiting' ? 'warn' : 'bad',
    t.health[state],
    reasons === '' ? undefined : reasons,
  );
}

/** Which node's peers, pods and repairs are shown. */
export function nodeChoice({ state, t, act }: App): VNode | null {
  const { lab, route } = state;
  if (lab === undefined || route.view === 'map' || route.view === 'rules') return null;
  const current = shownNode(state).name;
  return h(
    'nav',
    { class: 'node-choice', 'aria-label': t.lab.node },
    lab.nodes.map(({ name }) =>
      button(text(name, 30), () => act.go({ view: route.view, node: name }), {
        key: name,
        class: 'chip',
        'aria-pressed': name === current,
      }),
    ),
  );
}

/** Where a walk may begin: only a pod sends one. */
export function podPlaces(lab: LabView): string[] {
  const pods = new Set(
    lab.nodes.flatMap(({ overview }) => (overview?.pods ?? []).flatMap(({ name }) => name ?? [])),
  );
  return lab.places.filter((place) => pods.has(place));
}

/** The packet walk: its two ends, what it met, and the controls to watch it. */
export function walkPanel(app: App): VNode | null {
  const { state, t, act } = app;
  const { lab, walk } = state;
  if (lab === undefined) return null;
  // Whoever goes down the list by arrow keys must not be stopped by the place that he starts from.
  const ends = lab.places.filter((place) => place !== walk.from);
  const ready = walk.from !== undefined && walk.to !== undefined && walk.from !== walk.to && !walk.running;
  return h(
    'aside',
    { class: 'detail walk', 'aria-label': t.lab.walk },
    h(
      'header',
      null,
      h('h2', null, t.lab.walk),
      walk.from !== undefined && button(t.lab.clear, () => act.clearWalk(), { class: 'quiet' }),
    ),
    h(
      'form',
      {
        class: 'ends',
        onSubmit: (event: Event) => {
          event.preventDefault();
          if (ready) act.startWalk();
        },
      },
      choice(t.lab.from, podPlaces(lab), walk.from, (from) => act.setWalk({ from })),
      choice(t.lab.to, ends, walk.to, (to) => act.setWalk({ to })),
      h(
        'button',
        { type: 'submit', class: 'primary', disabled: !ready },
        walk.running ? t.lab.running : t.lab.start,
      ),
    ),
    walk.value === undefined &&
      walk.failure === undefined &&
      !walk.running &&
      h('p', { class: 'nothing' }, t.lab.choose),
    walk.failure !== undefined &&
      h('p', { class: 'troubles bad', role: 'alert' }, t.lab.failed, ' ', failureText(t, walk.failure)),
    walk.value !== undefined && walk.player !== undefined && watched(app, walk.player, walk.value),
  );
}

function choice(
  label: string,
  places: readonly string[],
  chosen: string | undefined,
  set: (place: string) => void,
): VNode {
  return h(
    'label',
    null,
    h('span', null, label),
    h(
      'select',
      {
        value: chosen ?? '',
        onChange: (event: Event) => set((event.currentTarget as HTMLSelectElement).value),
      },
      h('option', { value: '', disabled: true }, '–'),
      places.map((place) => h('option', { key: place, value: place }, place)),
    ),
  );
}

function watched(
  { t, f, act }: App,
  player: Player,
  { arrived, error }: { arrived: boolean; error?: string },
): VNode {
  const at = player.steps.length === 0 ? 0 : player.index + 1;
  const control = (label: string, sign: string, change: (player: Player) => Player) =>
    button(h('span', { 'aria-hidden': 'true' }, sign), () => act.play(change), {
      class: 'icon',
      'aria-label': label,
      title: label,
    });
  return h(
    'div',
    {
      class: 'watched',
      onKeyDown: (event: KeyboardEvent) => {
        const by =
          event.key === 'ArrowRight' || event.key === 'ArrowDown'
            ? 1
            : event.key === 'ArrowLeft' || event.key === 'ArrowUp'
              ? -1
              : 0;
        if (by === 0) return;
        event.preventDefault();
        event.stopPropagation();
        act.play((current) => step(current, by));
      },
    },
    h(
      'p',
      { role: 'status', class: 'outcome' },
      tag(arrived ? 'ok' : 'bad', arrived ? t.lab.arrived : t.lab.lost),
      error === undefined ? null : h('span', null, text(error, 300)),
    ),
    h(
      'div',
      { class: 'controls' },
      control(t.lab.first, '«', (current) => seek(current, 0)),
      control(t.lab.previous, '‹', (current) => step(current, -1)),
      control(player.playing ? t.lab.pause : t.lab.play, player.playing ? '❚❚' : '▶', toggle),
      control(t.lab.next, '›', (current) => step(current, 1)),
      h('span', { class: 'count num' }, t.lab.position(f.count(at), f.count(player.steps.length))),
    ),
    h(Hops, { app: { t, f, act }, player }),
  );
}

/** The list of what the packet met; the step that it has reached is kept in sight. */
class Hops extends Component<{ app: Pick<App, 't' | 'f' | 'act'>; player: Player }> {
  readonly #list = createRef<HTMLOListElement>();

  override componentDidUpdate({ player }: { player: Player }): void {
    if (player.index === this.props.player.index) return;
    this.#list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
  }

  override render(): VNode {
    const { app, player } = this.props;
    const items = player.steps.map((one, i) => hopItem(app, { one, i, player }));
    return h('ol', { class: 'hops', ref: this.#list }, items);
  }
}

function hopItem(
  { t, f, act }: Pick<App, 't' | 'f' | 'act'>,
  { one, i, player }: { one: Step; i: number; player: Player },
): VNode {
  const { hop, way } = one;
  const before = player.steps[i - 1];
  const current = i === player.index;
  return h(
    'li',
    {
      key: i,
      class: `hop ${hop.wrapped ? 'wrapped' : ''} ${i < player.index ? 'passed' : ''}`,
      'aria-current': current ? 'step' : undefined,
    },
    before?.way !== way && h('h3', null, t.lab[way]),
    h(
      'button',
      { type: 'button', onClick: () => act.play((now) => seek(now, i)) },
      h('b', null, text(hop.place.name, 30)),
      h('code', null, text(hop.device, 20)),
      h('span', { class: 'way' }, hop.outgoing ? t.lab.out : t.lab.in),
      hop.wrapped && h('span', { class: 'badge' }, t.lab.wrapped),
      h('span', { class: 'num time' }, f.ms(hop.us / 1000)),
    ),
    current &&
      h(
        'div',
        { class: 'hop-detail' },
        h(
          'pre',
          null,
          hop.packet.map((line, n) => h('span', { key: n }, text(line, 200), '\n')),
        ),
        hop.why === '' ? null : h('p', null, text(hop.why, 600)),
      ),
  );
}
