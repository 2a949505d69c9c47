import { render } from 'preact';
import { Client } from './app/client.ts';
import { attachKeys } from './app/keys.ts';
import { Settings } from './app/settings.ts';
import { Store, type State } from './app/state.ts';
import { Meter } from './data/rates.ts';
import { formatRoute, parseRoute } from './data/route.ts';
import { actionsOf } from './app/actions.ts';
import { Format } from './text/format.ts';
import { LANGUAGES } from './text/languages.ts';
import { h } from './view/h.ts';
import { Page } from './view/shell.ts';

/** Joins the parts and starts asking. */
function start(root: HTMLElement): void {
  const settings = new Settings();
  const initial: State = {
    mode: 'starting',
    rules: { running: false },
    detail: { running: false },
    probe: { running: false },
    walk: { running: false },
    meter: new Meter(),
    route: parseRoute(location.hash),
    language: settings.language(navigator.languages),
    theme: settings.theme(),
    query: '',
    order: { column: 'subnet', descending: false },
    states: [],
    help: false,
  };
  const dark = matchMedia('(prefers-color-scheme: dark)');
  let drawn = 0;
  let format = new Format(initial.language);
  const store = new Store(initial, () => {
    if (drawn === 0) drawn = requestAnimationFrame(draw);
  });
  const client = new Client(store);
  const act = actionsOf(store, client, settings);
  const draw = () => {
    drawn = 0;
    const { state } = store;
    const t = LANGUAGES[state.language];
    if (format.locale !== state.language) format = new Format(state.language);
    document.documentElement.lang = state.language;
    document.documentElement.dataset['theme'] =
      state.theme === 'system' ? (dark.matches ? 'dark' : 'light') : state.theme;
    const name = state.lab?.name ?? state.overview?.node?.name;
    document.title = name === undefined ? t.product : t.title(name.slice(0, 60));
    render(h(Page, { app: { state, t, f: format, act } }), root);
  };
  addEventListener('hashchange', () => {
    const route = parseRoute(location.hash);
    // Another list than the one that was searched.
    const query = route.view === store.state.route.view ? {} : { query: '' };
    store.set({ route, ...query });
    client.routed();
  });
  attachKeys(store, act);
  dark.addEventListener('change', () => store.set({}));
  const visible = () => (document.hidden ? client.poller.pause() : client.poller.resume());
  document.addEventListener('visibilitychange', visible);
  // The network is back, or the page comes back from the browser's memory.
  addEventListener('online', () => client.poller.now());
  addEventListener('pageshow', () => client.poller.now());
  if (location.hash === '') history.replaceState(null, '', formatRoute(initial.route));
  draw();
  visible();
}

const root = document.getElementById('page');
if (root !== null) start(root);
