import { step, toggle } from '../data/player.ts';
import { VIEWS } from '../data/route.ts';
import { nextLanguage } from '../text/languages.ts';
import type { Actions } from '../view/app.ts';
import { THEMES, type Store } from './state.ts';

/** The shortcuts that hold everywhere but where something is typed. */
export function attachKeys(store: Store, act: Actions): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (store.state.help) return;
    const target = event.target instanceof HTMLElement ? event.target : undefined;
    if (event.key === 'Escape') {
      escape(store, act, target);
      return;
    }
    if (target?.closest('input, textarea, select') !== null && target !== undefined) return;
    // A button that has the focus is pressed by the space bar.
    if (event.key === ' ' && target?.closest('button, a') !== null && target !== undefined) return;
    if (press(event.key, store, act)) event.preventDefault();
  });
}

/** True when the key means something. */
function press(key: string, store: Store, act: Actions): boolean {
  const { state } = store;
  const view = VIEWS[Number(key) - 1];
  if (view !== undefined) {
    const { node } = state.route;
    act.go({ view, ...(node === undefined ? {} : { node }) });
    return true;
  }
  switch (key) {
    case '?':
      act.setHelp(true);
      return true;
    case '/': {
      const field = document.querySelector<HTMLInputElement>('input.query');
      field?.focus();
      field?.select();
      return field !== null;
    }
    case 't':
      act.setTheme(THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length] ?? 'system');
      return true;
    case 'l':
      act.setLanguage(nextLanguage(state.language));
      return true;
    case ' ':
      if (state.walk.player === undefined) return false;
      act.play(toggle);
      return true;
    case ',':
    case '.':
      act.play((player) => step(player, key === ',' ? -1 : 1));
      return state.walk.player !== undefined;
    default:
      return false;
  }
}

/** Out of the field, then out of the search, then out of what is chosen. */
function escape({ state }: Store, act: Actions, target: HTMLElement | undefined): void {
  if (target instanceof HTMLInputElement) {
    if (state.query !== '') act.setQuery('');
    target.blur();
  } else if (state.query !== '') act.setQuery('');
  else if (state.route.name !== undefined) {
    const { view, node } = state.route;
    act.go({ view, ...(node === undefined ? {} : { node }) });
  } else if (state.walk.from !== undefined) act.clearWalk();
}
