import type { Overview, PeerView, PodView, RepairView } from '../../model.ts';
import type { Column } from '../data/peer-table.ts';
import type { Player } from '../data/player.ts';
import type { Route } from '../data/route.ts';
import type { State, Theme } from '../app/state.ts';
import type { Format } from '../text/format.ts';
import type { Language } from '../text/languages.ts';
import type { Messages } from '../text/en.ts';

/** What a reader can do. */
export interface Actions {
  go(route: Route): void;
  setTheme(theme: Theme): void;
  setLanguage(language: Language): void;
  setQuery(query: string): void;
  sortBy(column: Column): void;
  toggleState(state: string): void;
  setHelp(open: boolean): void;
  compare(name: string): void;
  compareRules(): void;
  probe(name: string): void;
  setWalk(ends: { from?: string; to?: string }): void;
  startWalk(): void;
  clearWalk(): void;
  /** What the player is then; undefined without a walk. */
  play(change: (player: Player) => Player): Player | undefined;
}

/** What every view is drawn from. */
export interface App {
  readonly state: State;
  readonly t: Messages;
  readonly f: Format;
  readonly act: Actions;
}

/** The node that peers, pods and repairs are shown of: this one, in the lab the chosen one. */
export interface Shown {
  readonly name: string;
  readonly overview?: Overview;
  readonly peers: readonly PeerView[];
  readonly pods: readonly PodView[];
  readonly repairs: readonly RepairView[];
}

export function shownNode({ mode, overview, peers, lab, route }: State): Shown {
  if (mode !== 'lab') {
    return {
      name: overview?.node?.name ?? '',
      ...(overview === undefined ? {} : { overview }),
      peers: peers?.peers ?? [],
      pods: overview?.pods ?? [],
      repairs: overview?.repairs ?? [],
    };
  }
  const node = lab?.nodes.find(({ name }) => name === route.node) ?? lab?.nodes[0];
  return {
    name: node?.name ?? '',
    ...(node?.overview === undefined ? {} : { overview: node.overview }),
    peers: node?.peers ?? [],
    pods: node?.overview?.pods ?? [],
    repairs: node?.overview?.repairs ?? [],
  };
}
