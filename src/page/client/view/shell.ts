import { Component, type ComponentChildren, type VNode } from 'preact';
import { THEMES } from '../app/state.ts';
import { formatRoute, VIEWS } from '../data/route.ts';
import { LANGUAGES, type Language } from '../text/languages.ts';
import { h } from './h.ts';
import type { App } from './app.ts';
import { detail } from './detail.ts';
import { health, nodeName, statePill } from './health.ts';
import { Help } from './help.ts';
import { labHealth, nodeChoice, walkPanel } from './lab.ts';
import { MapView } from './map.ts';
import { button, failureText, text } from './parts.ts';
import { Peers } from './peers.ts';
import { podsView } from './pods.ts';
import { repairsView } from './repairs.ts';
import { rulesView } from './rules.ts';

/** The whole page. What fails while it is drawn is told, not left blank. */
export class Page extends Component<{ app: App }, { failed: boolean }> {
  override state = { failed: false };

  override componentDidCatch(error: unknown): void {
    console.error(error);
    this.setState({ failed: true });
  }

  override render(): VNode {
    const { app } = this.props;
    const { t, state } = app;
    if (this.state.failed) {
      return h(
        'main',
        { class: 'broken' },
        h('p', { role: 'alert' }, t.broken),
        button(t.reload, () => location.reload()),
      );
    }
    const stale = state.failure !== undefined && state.answeredAt !== undefined;
    return h(
      'div',
      { class: `page ${stale ? 'stale' : ''} view-${state.route.view}` },
      h('a', { class: 'skip', href: '#main', onClick: (event: Event) => skip(event) }, t.skip),
      header(app),
      banner(app),
      state.mode === 'lab' ? labHealth(app) : health(app),
      nodeChoice(app),
      h('main', { id: 'main', tabIndex: -1 }, content(app)),
      state.help && h(Help, { app }),
    );
  }
}

function skip(event: Event): void {
  // The address behind # says where the reader is.
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function content(app: App): ComponentChildren {
  const { state, t } = app;
  if (state.answeredAt === undefined)
    return state.failure === undefined ? h('p', { class: 'nothing' }, t.starting) : null;
  switch (state.route.view) {
    case 'map':
      return [h(MapView, { app, key: 'map' }), state.mode === 'lab' ? walkPanel(app) : detail(app)];
    case 'peers':
      return [h(Peers, { app, key: 'peers' }), detail(app)];
    case 'pods':
      return podsView(app);
    case 'rules':
      return rulesView(app);
    case 'repairs':
      return repairsView(app);
  }
}

function header(app: App): VNode {
  const { state, t, act } = app;
  const { node } = state.route;
  const version = (state.overview ?? state.lab?.nodes.find(({ overview }) => overview)?.overview)?.version;
  return h(
    'header',
    { class: 'top' },
    h('h1', null, t.product, version === undefined ? null : h('small', null, ' ', text(version, 20))),
    h(
      'span',
      { class: 'who' },
      nodeName(app),
      h('span', { role: 'status', 'aria-live': 'polite' }, statePill(app)),
    ),
    h(
      'nav',
      { class: 'views', 'aria-label': t.menu },
      VIEWS.filter((view) => state.mode !== 'lab' || view !== 'rules').map((view) =>
        h(
          'a',
          {
            key: view,
            href: formatRoute({ view, ...(node === undefined ? {} : { node }) }),
            'aria-current': state.route.view === view ? 'page' : undefined,
          },
          t.views[view],
        ),
      ),
    ),
    h(
      'span',
      { class: 'settings' },
      h(
        'select',
        {
          'aria-label': t.settings.language,
          title: t.settings.language,
          value: state.language,
          onChange: (event: Event) =>
            act.setLanguage((event.currentTarget as HTMLSelectElement).value as Language),
        },
        Object.entries(LANGUAGES).map(([key, { language }]) =>
          h('option', { key, value: key, lang: key }, language),
        ),
      ),
      h(
        'select',
        {
          'aria-label': t.settings.theme,
          title: t.settings.theme,
          value: state.theme,
          onChange: (event: Event) =>
            act.setTheme(THEMES[(event.currentTarget as HTMLSelectElement).selectedIndex] ?? 'system'),
        },
        THEMES.map((theme) => h('option', { key: theme, value: theme }, t.settings.themes[theme])),
      ),
      button('?', () => act.setHelp(true), {
        class: 'icon',
        'aria-label': t.settings.help,
        title: t.settings.help,
      }),
    ),
  );
}

function banner({ state, t, f }: App): VNode {
  const { failure, answeredAt } = state;
  return h(
    'div',
    { class: 'banner', role: 'alert' },
    failure === undefined
      ? null
      : h(
          'p',
          null,
          h(
            'strong',
            null,
            answeredAt === undefined ? t.silence.never : t.silence.title(f.clock(answeredAt)),
          ),
          ' ',
          failureText(t, failure),
          answeredAt === undefined ? null : [' ', t.silence.stale],
        ),
  );
}
