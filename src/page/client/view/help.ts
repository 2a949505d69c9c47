import { Component, createRef, type VNode } from 'preact';
import { h } from './h.ts';
import type { App } from './app.ts';
import { button } from './parts.ts';

/** The keyboard shortcuts, as a modal dialog: the browser keeps the focus inside. */
export class Help extends Component<{ app: App }> {
  readonly #dialog = createRef<HTMLDialogElement>();

  override componentDidMount(): void {
    this.#dialog.current?.showModal();
  }

  override render(): VNode {
    const { t, act, state } = this.props.app;
    const l = t.keys.list;
    const section = (title: string, rows: readonly (readonly [string, string])[]) =>
      h(
        'section',
        null,
        h('h3', null, title),
        h(
          'dl',
          null,
          rows.map(([keys, what]) =>
            h(
              'div',
              { key: what },
              h(
                'dt',
                null,
                keys.split(' ').map((key) => h('kbd', { key }, key)),
              ),
              h('dd', null, what),
            ),
          ),
        ),
      );
    return h(
      'dialog',
      {
        class: 'help',
        ref: this.#dialog,
        'aria-labelledby': 'help-title',
        onClose: () => act.setHelp(false),
      },
      h(
        'header',
        null,
        h('h2', { id: 'help-title' }, t.keys.title),
        button('✕', () => act.setHelp(false), { class: 'icon', 'aria-label': t.keys.close }),
      ),
      h(
        'div',
        { class: 'columns' },
        section(t.keys.general, [
          ['1 2 3 4 5', l.views],
          ['/', l.search],
          ['t', l.theme],
          ['l', l.language],
          ['?', l.help],
          ['Esc', l.escape],
        ]),
        section(t.keys.map, [
          ['← → ↑ ↓', l.arrows],
          ['Enter', l.enter],
          ['Shift+← Shift+→ Shift+↑ Shift+↓', l.pan],
          ['+ −', l.zoom],
          ['0', l.fit],
        ]),
        section(t.keys.table, [
          ['↑ ↓ Home End PgUp PgDn', l.rows],
          ['Enter', l.open],
        ]),
        state.mode === 'lab' &&
          section(t.keys.walk, [
            ['Space', l.play],
            [', .', l.step],
          ]),
      ),
    );
  }
}
