import type { VNode } from 'preact';
import type { Stage } from '../map/stage.ts';
import type { App } from './app.ts';
import { h } from './h.ts';
import { button, tag } from './parts.ts';
import { countStates } from './search.ts';

/** How many peers there are of each colour; in the lab, seen from all nodes. */
export function legend({ t, f, state }: App): VNode {
  const peers =
    state.mode === 'lab'
      ? (state.lab?.nodes.flatMap((node) => node.peers) ?? [])
      : (state.peers?.peers ?? []);
  return h(
    'div',
    { class: 'legend', role: 'group', 'aria-label': t.map.legend, title: t.map.flow },
    countStates(peers).map(({ state, count }) =>
      h(
        'span',
        { key: state },
        tag(state, t.state[state], t.stateWhy[state]),
        h('b', { class: 'num' }, f.count(count)),
      ),
    ),
  );
}

export function zoomButtons({ t }: App, stage: () => Stage | undefined): VNode {
  const tool = (sign: string, label: string, press: () => void) =>
    button(sign, press, { class: 'icon', 'aria-label': label, title: label });
  return h(
    'div',
    { class: 'zoom' },
    tool('+', t.map.zoomIn, () => stage()?.zoomBy(1.4)),
    tool('−', t.map.zoomOut, () => stage()?.zoomBy(1 / 1.4)),
    tool('◱', t.map.fit, () => stage()?.fitAll()),
  );
}
