import { formatRoute } from '../data/route.ts';
import type { Actions } from '../view/app.ts';
import type { Client } from './client.ts';
import type { Settings } from './settings.ts';
import type { Store } from './state.ts';

/** What a reader can do, as changes of the store and questions to the server. */
export function actionsOf(store: Store, client: Client, settings: Settings): Actions {
  return {
    go: (route) => {
      location.hash = formatRoute(route);
    },
    setTheme: (theme) => {
      settings.keep('theme', theme);
      store.set({ theme });
    },
    setLanguage: (language) => {
      settings.keep('language', language);
      store.set({ language });
    },
    setQuery: (query) => store.set({ query: query.slice(0, 200) }),
    sortBy: (column) => {
      const { order } = store.state;
      store.set({ order: { column, descending: order.column === column && !order.descending } });
    },
    toggleState: (state) => {
      const { states } = store.state;
      store.set({
        states: states.includes(state) ? states.filter((one) => one !== state) : [...states, state],
      });
    },
    setHelp: (help) => store.set({ help }),
    compare: (name) => client.loadDetail(name),
    compareRules: () => client.loadRules(),
    probe: (name) => client.probe(name),
    setWalk: ({ from, to }) => {
      const { walk } = store.state;
      // Choosing only the end keeps the start; a new start forgets an old walk.
      const start = from ?? walk.from;
      const end = to ?? (from === undefined || walk.value === undefined ? walk.to : undefined);
      store.set({
        walk: {
          running: false,
          ...(start === undefined ? {} : { from: start }),
          ...(end === undefined || end === start ? {} : { to: end }),
        },
      });
    },
    startWalk: () => {
      const { from, to } = store.state.walk;
      if (from !== undefined && to !== undefined) client.walk(from, to, !stillness());
    },
    clearWalk: () => store.set({ walk: { running: false } }),
    play: (change) => {
      const { walk } = store.state;
      if (walk.player === undefined) return undefined;
      const player = change(walk.player);
      if (player === walk.player) return player;
      const patch = { walk: { ...walk, player } };
      // The way between two devices is the map's alone: nothing else is to be drawn for it.
      if (player.index === walk.player.index && player.playing === walk.player.playing && player.playing)
        store.setQuietly(patch);
      else store.set(patch);
      return player;
    },
  };
}

function stillness(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}
