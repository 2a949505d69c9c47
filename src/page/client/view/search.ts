import type { VNode } from 'preact';
import type { PeerView } from '../../model.ts';
import type { App } from './app.ts';
import { h } from './h.ts';

/** The field that the key `/` leads to. What is typed is one for the map and the table of peers. */
export function searchField(
  { state, act }: App,
  words: { label: string; placeholder: string },
  onEnter?: () => void,
): VNode {
  return h('input', {
    type: 'search',
    class: 'query',
    'aria-label': words.label,
    placeholder: words.placeholder,
    value: state.query,
    onInput: (event: InputEvent) => act.setQuery((event.currentTarget as HTMLInputElement).value),
    onKeyDown: (event: KeyboardEvent) => event.key === 'Enter' && onEnter?.(),
  });
}

const STATES: readonly PeerView['state'][] = ['tunnel', 'direct', 'refused', 'left_out'];

/** How many peers there are of each state that one of them has. */
export function countStates(peers: readonly PeerView[]): { state: PeerView['state']; count: number }[] {
  return STATES.map((state) => ({
    state,
    count: peers.filter((peer) => peer.state === state).length,
  })).filter(({ count }) => count > 0);
}
