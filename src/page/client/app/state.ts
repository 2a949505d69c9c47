import type { LabView, Overview, PeerDetail, PeerList, ProbeView, RulesView, WalkView } from '../../model.ts';
import type { Order } from '../data/peer-table.ts';
import type { Player } from '../data/player.ts';
import type { Meter } from '../data/rates.ts';
import type { Route } from '../data/route.ts';
import type { Language } from '../text/languages.ts';
import type { Failure } from './api.ts';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** Something that is asked for once, on demand. */
export interface Asked<T> {
  readonly running: boolean;
  readonly value?: T;
  readonly failure?: Failure;
}

/** All that the page knows. Immutable but for the meter; each change is a new one. */
export interface State {
  /** What serves the page; `starting` until it has said so. */
  readonly mode: 'starting' | 'node' | 'lab';
  readonly overview?: Overview;
  readonly peers?: PeerList;
  readonly lab?: LabView;
  readonly rules: Asked<RulesView>;
  readonly detail: Asked<PeerDetail> & { readonly name?: string };
  readonly probe: Asked<ProbeView> & { readonly name?: string };
  readonly walk: Asked<WalkView> & { readonly from?: string; readonly to?: string; readonly player?: Player };
  /** Rates, by `device <node> <name>` and `pod <node> <key>`. */
  readonly meter: Meter;
  /** By the browser's clock: when the last answer came, and why there is none now. */
  readonly answeredAt?: number;
  readonly failure?: Failure;
  readonly route: Route;
  readonly language: Language;
  readonly theme: Theme;
  readonly query: string;
  readonly order: Order;
  /** States that the table of peers is limited to; empty: all. */
  readonly states: readonly string[];
  readonly help: boolean;
}

/** Holds the state and tells of its changes. */
export class Store {
  #state: State;
  readonly #changed: () => void;

  constructor(state: State, changed: () => void) {
    this.#state = state;
    this.#changed = changed;
  }

  get state(): State {
    return this.#state;
  }

  set(patch: Partial<State>): void {
    this.#state = { ...this.#state, ...patch };
    this.#changed();
  }

  /** As `set`, without what `state` does not have. */
  replace(state: State): void {
    this.#state = state;
    this.#changed();
  }

  /** A change that only the map's next frame shows. */
  setQuietly(patch: Partial<State>): void {
    this.#state = { ...this.#state, ...patch };
  }
}
