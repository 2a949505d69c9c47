import { Component, createRef, type VNode } from 'preact';
import { COLUMNS, matcher, rowsOf, sortRows, windowOf, type Column, type Row } from '../data/peer-table.ts';
import { formatRoute, type Route } from '../data/route.ts';
import type { PeerView } from '../../model.ts';
import { h } from './h.ts';
import { shownNode, type App } from './app.ts';
import { countStates, searchField } from './search.ts';
import { button, lines, mono, tag, text } from './parts.ts';

const ROW = 30;

interface Inner {
  readonly top: number;
  readonly height: number;
  /** Index of the row that the keyboard is at. */
  readonly cursor: number;
}

/** All peers as a table of which only the rows in sight are in the document. */
export class Peers extends Component<{ app: App }, Inner> {
  override state: Inner = { top: 0, height: 600, cursor: 0 };
  readonly #box = createRef<HTMLDivElement>();
  #resized: ResizeObserver | undefined;
  #focus = false;
  #memo: { peers: readonly PeerView[]; rows: Row[]; key: string; shown: Row[] } | undefined;

  override componentDidMount(): void {
    const box = this.#box.current;
    if (box === null) return;
    this.#resized = new ResizeObserver(() => this.setState({ height: box.clientHeight }));
    this.#resized.observe(box);
  }

  override componentWillUnmount(): void {
    this.#resized?.disconnect();
  }

  override componentDidUpdate(): void {
    if (!this.#focus) return;
    const row = this.#box.current?.querySelector<HTMLElement>('tr[tabindex="0"]');
    if (row === null || row === undefined) return;
    this.#focus = false;
    row.focus({ preventScroll: true });
  }

  /** Rows are parsed when the list changes, filtered and sorted when that or the question does. */
  #rows({ state }: App): { all: Row[]; shown: Row[] } {
    const { peers } = shownNode(state);
    const { query, order, states } = state;
    const key = JSON.stringify([query, order, states]);
    if (this.#memo?.peers !== peers || this.#memo.key !== key) {
      const rows = this.#memo?.peers === peers ? this.#memo.rows : rowsOf(peers);
      const matches = matcher(query);
      const wanted = rows.filter(
        (row) => (states.length === 0 || states.includes(row.peer.state)) && matches(row),
      );
      this.#memo = { peers, rows, key, shown: sortRows(wanted, order) };
    }
    return { all: this.#memo.rows, shown: this.#memo.shown };
  }

  #move(to: number, count: number): void {
    const cursor = Math.max(0, Math.min(count - 1, to));
    const box = this.#box.current;
    if (box !== null) {
      const head = ROW + 2;
      const [start, end] = [cursor * ROW, (cursor + 1) * ROW];
      if (start < box.scrollTop) box.scrollTop = start;
      else if (end > box.scrollTop + box.clientHeight - head) box.scrollTop = end - box.clientHeight + head;
      this.setState({ top: box.scrollTop });
    }
    this.#focus = true;
    this.setState({ cursor });
  }

  #key(event: KeyboardEvent, shown: readonly Row[]): void {
    const { cursor, height } = this.state;
    const page = Math.max(1, Math.floor(height / ROW) - 2);
    const to: Record<string, number> = {
      ArrowDown: cursor + 1,
      ArrowUp: cursor - 1,
      PageDown: cursor + page,
      PageUp: cursor - page,
      Home: 0,
      End: shown.length - 1,
    };
    const target = to[event.key];
    const inRow = event.target instanceof HTMLElement && event.target.tagName === 'TR';
    if (target !== undefined && inRow) {
      event.preventDefault();
      this.#move(target, shown.length);
    } else if (event.key === 'Enter' && inRow) {
      const row = shown[cursor];
      if (row !== undefined) this.props.app.act.go(this.#target(row.peer));
    }
  }

  #target({ name }: PeerView): Route {
    const { node } = this.props.app.state.route;
    return { view: 'peers', name, ...(node === undefined ? {} : { node }) };
  }

  override render(): VNode {
    const { app } = this.props;
    const { t, f } = app;
    const { all, shown } = this.#rows(app);
    return h(
      'section',
      { class: 'pane peers', 'aria-label': t.peers.caption },
      h(
        'div',
        { class: 'tools' },
        searchField(app, { label: t.peers.filter, placeholder: t.map.placeholder }),
        h(
          'span',
          { class: 'chips' },
          countStates(all.map(({ peer }) => peer)).map(({ state, count }) =>
            button(
              [tag(state, t.state[state]), h('b', { class: 'num' }, f.count(count))],
              () => app.act.toggleState(state),
              {
                key: state,
                class: 'chip',
                title: t.stateWhy[state],
                'aria-pressed': app.state.states.includes(state),
              },
            ),
          ),
        ),
        h(
          'span',
          { class: 'count', role: 'status' },
          t.peers.shown(f.count(shown.length), f.count(all.length)),
        ),
      ),
      this.#table(app, shown, all.length),
    );
  }

  #table(app: App, shown: readonly Row[], all: number): VNode {
    const { t } = app;
    const { from, to } = windowOf({ top: this.state.top, height: this.state.height }, ROW, shown.length);
    const cursor = Math.max(0, Math.min(shown.length - 1, this.state.cursor));
    return h(
      'div',
      {
        class: 'scroll',
        ref: this.#box,
        onScroll: (event: Event) => this.setState({ top: (event.currentTarget as HTMLElement).scrollTop }),
        onKeyDown: (event: KeyboardEvent) => this.#key(event, shown),
      },
      h(
        'table',
        { role: 'grid', 'aria-rowcount': shown.length + 1, 'aria-label': t.peers.caption },
        h(
          'thead',
          null,
          h(
            'tr',
            { 'aria-rowindex': 1 },
            COLUMNS.map((column) => this.#head(app, column)),
          ),
        ),
        h(
          'tbody',
          null,
          spacer('above', from * ROW),
          shown
            .slice(from, to)
            .map((row, i) => this.#row(app, row, { index: from + i, current: from + i === cursor })),
          spacer('below', (shown.length - to) * ROW),
        ),
      ),
      shown.length === 0 && h('p', { class: 'nothing' }, all === 0 ? t.peers.empty : t.peers.none),
    );
  }

  #head({ state, t, act }: App, column: Column): VNode {
    const sorted = state.order.column === column;
    const direction = state.order.descending ? 'descending' : 'ascending';
    return h(
      'th',
      { key: column, scope: 'col', class: `c-${column}`, 'aria-sort': sorted ? direction : 'none' },
      button(
        [
          t.peers.columns[column],
          h('i', { 'aria-hidden': 'true' }, sorted ? (state.order.descending ? '▾' : '▴') : ''),
        ],
        () => act.sortBy(column),
        {
          title: t.peers.sort(t.peers.columns[column]),
        },
      ),
    );
  }

  #row({ state, t, act }: App, { peer }: Row, at: { index: number; current: boolean }): VNode {
    const target = this.#target(peer);
    return h(
      'tr',
      {
        key: peer.name,
        'aria-rowindex': at.index + 2,
        'aria-selected': state.route.name === peer.name,
        tabIndex: at.current ? 0 : -1,
        onFocus: () => this.setState({ cursor: at.index }),
        onClick: () => act.go(target),
      },
      h(
        'th',
        { scope: 'row', class: 'c-name' },
        h('a', { href: formatRoute(target), tabIndex: -1 }, text(peer.name, 60)),
      ),
      h('td', { class: 'c-subnet' }, lines(peer.subnets)),
      h('td', { class: 'c-publicIp' }, lines(peer.publicIps)),
      h('td', { class: 'c-mac' }, peer.vtepMac === undefined ? '' : mono(peer.vtepMac)),
      h(
        'td',
        { class: 'c-state' },
        tag(peer.state, t.state[peer.state], peer.why),
        peer.why === undefined ? null : h('small', null, text(peer.why, 90)),
      ),
    );
  }
}

function spacer(key: string, height: number): VNode | null {
  if (height <= 0) return null;
  return h(
    'tr',
    { key, class: 'spacer', 'aria-hidden': 'true' },
    h('td', { style: { height: `${height}px` } }),
  );
}
