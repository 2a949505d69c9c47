import { Component, createRef, type VNode } from 'preact';
import { advance } from '../data/player.ts';
import { matcher, rowsOf } from '../data/peer-table.ts';
import type { PeerView } from '../../model.ts';
import { attachGestures } from '../map/gestures.ts';
import { labScene } from '../map/lab-scene.ts';
import { nodeScene } from '../map/node-scene.ts';
import type { Top } from '../map/paint-top.ts';
import { neighbour, type Direction } from '../map/pick.ts';
import type { Item, Scene } from '../map/scene.ts';
import { labShape, nodeShape } from '../map/shape.ts';
import { Stage } from '../map/stage.ts';
import { trailOf } from '../map/trail.ts';
import { cut } from '../text/visible.ts';
import { h } from './h.ts';
import type { App } from './app.ts';
import { podPlaces } from './lab.ts';
import { legend, zoomButtons } from './map-tools.ts';
import { searchField } from './search.ts';

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};
const PAN: Readonly<Record<Direction, { x: number; y: number }>> = {
  left: { x: 80, y: 0 },
  right: { x: -80, y: 0 },
  up: { x: 0, y: 80 },
  down: { x: 0, y: -80 },
};

interface Inner {
  readonly focus: string | undefined;
  readonly said: string;
}

/** The map: canvases, search, legend, and the keyboard on it. */
export class MapView extends Component<{ app: App }, Inner> {
  override state: Inner = { focus: undefined, said: '' };
  readonly #base = createRef<HTMLCanvasElement>();
  readonly #top = createRef<HTMLCanvasElement>();
  readonly #box = createRef<HTMLDivElement>();
  #stage: Stage | undefined;
  #undo: (() => void)[] = [];
  #scene: { key: readonly unknown[]; scene: Scene } | undefined;
  #found: { key: readonly unknown[]; ids: ReadonlySet<string> | undefined } | undefined;
  #themed = '';
  #named: string | undefined;

  override componentDidMount(): void {
    const [base, top, box] = [this.#base.current, this.#top.current, this.#box.current];
    if (base === null || top === null || box === null) return;
    const motion = matchMedia('(prefers-reduced-motion: reduce)');
    const stage = new Stage({ base, top, look: () => this.#look(), still: () => motion.matches });
    this.#stage = stage;
    const recolour = () => stage.recolour();
    const resized = new ResizeObserver(() => {
      stage.resize({ w: box.clientWidth, h: box.clientHeight });
      this.#show();
    });
    resized.observe(box);
    this.#undo = [
      () => resized.disconnect(),
      attachGestures(top, stage, (at) => this.#open(stage.itemAt(at))),
    ];
    void document.fonts.ready.then(recolour);
    this.componentDidUpdate();
  }

  override componentDidUpdate(): void {
    this.#show();
    const { name } = this.props.app.state.route;
    if (name === this.#named) return;
    this.#named = name;
    // Its panel has made the map smaller: the next frame knows by how much.
    if (name !== undefined) requestAnimationFrame(() => this.#keepInSight(`peer ${name}`));
  }

  #keepInSight(id: string): void {
    const item = this.#stage?.scene?.byId.get(id);
    if (item !== undefined) this.#stage?.show(item, 0);
  }

  #show(): void {
    const stage = this.#stage;
    if (stage === undefined) return;
    const scene = this.#currentScene();
    if (scene !== undefined) stage.setScene(scene);
    const theme = document.documentElement.dataset['theme'] ?? '';
    if (theme !== this.#themed) stage.recolour();
    this.#themed = theme;
    stage.wake();
  }

  override componentWillUnmount(): void {
    this.#stage?.stop();
    for (const undo of this.#undo) undo();
  }

  /** Made anew only when something stands elsewhere: counters alone do not change it. */
  #currentScene(): Scene | undefined {
    const { state, t, f } = this.props.app;
    const aspect = this.#stage?.aspect ?? 1;
    if (state.mode === 'lab') {
      if (state.lab === undefined) return undefined;
      const { lab } = state;
      return this.#remember([labShape(lab), aspect], () => labScene(lab, aspect));
    }
    const { node, pods } = state.overview ?? {};
    if (node === undefined || pods === undefined) return undefined;
    const peers = state.peers?.peers ?? NO_PEERS;
    const words = { count: (n: number) => f.count(n), unread: t.map.unread };
    return this.#remember([nodeShape(node, pods), peers, state.language, aspect], () =>
      nodeScene({ node, pods, peers, aspect, words }),
    );
  }

  #remember(key: readonly unknown[], make: () => Scene): Scene {
    if (!sameKey(this.#scene?.key, key)) this.#scene = { key, scene: make() };
    return (this.#scene as { scene: Scene }).scene;
  }

  /** Ids of the peers that the search finds; undefined while nothing is searched. */
  #foundIds(): ReadonlySet<string> | undefined {
    const { state } = this.props.app;
    const peers = state.peers?.peers ?? NO_PEERS;
    const key = [peers, state.query];
    if (!sameKey(this.#found?.key, key)) {
      const matches = matcher(state.query);
      const ids =
        state.query.trim() === ''
          ? undefined
          : rowsOf(peers)
              .filter(matches)
              .map(({ peer }) => `peer ${peer.name}`);
      this.#found = { key, ids: ids === undefined ? undefined : new Set(ids) };
      this.#stage?.repaint();
    }
    return this.#found?.ids;
  }

  #look() {
    const { state } = this.props.app;
    const { name } = state.route;
    const { from, to } = state.walk;
    const places = [from, to].filter((place) => place !== undefined);
    const scene = this.#stage?.scene;
    const chosen =
      state.mode === 'lab'
        ? (scene?.items.filter((item) => item.place !== undefined && places.includes(item.place)) ?? []).map(
            ({ id }) => id,
          )
        : name === undefined
          ? []
          : [`peer ${name}`];
    const flow = (meter: string) => {
      const rate = state.failure === undefined ? state.meter.rate(meter) : undefined;
      if (rate === undefined) return undefined;
      return { out: rate.txPackets, in: rate.rxPackets };
    };
    const flowing = scene?.links.some(({ meter }) => meter !== undefined && moves(flow(meter))) ?? false;
    return {
      chosen,
      focus: this.state.focus,
      found: this.#foundIds(),
      flow,
      flowing,
      trail: (ms: number) => this.#trail(ms),
    };
  }

  #trail(ms: number): Top['trail'] {
    const { state, act } = this.props.app;
    const { lab } = state;
    const scene = this.#stage?.scene;
    if (lab === undefined || scene === undefined) return undefined;
    // What was drawn last is older than the player: a frame, or a press of a key.
    const now = act.play((player) => advance(player, ms));
    if (now === undefined || now.steps.length === 0) return undefined;
    return trailOf(now, scene, lab);
  }

  #open(item: Item | undefined): void {
    const { act, state } = this.props.app;
    if (item === undefined) return;
    this.setState({ focus: item.id });
    if (state.mode === 'lab') this.#chooseEnd(item);
    else if (item.kind === 'peer') act.go({ view: 'map', name: item.title });
    else if (item.kind === 'group') this.#stage?.show(item, this.#box.current?.clientWidth ?? 600);
    else if (item.kind === 'pod') act.go({ view: 'pods' });
  }

  /** First where from, then where to; a third one begins anew. */
  #chooseEnd({ place }: Item): void {
    const { act, state } = this.props.app;
    const { lab, walk } = state;
    if (place === undefined || lab === undefined || !lab.places.includes(place)) return;
    const mayStart = podPlaces(lab).includes(place);
    const anew = walk.from === undefined || walk.to !== undefined;
    if (anew && mayStart) act.setWalk({ from: place });
    else if (walk.from !== undefined && walk.from !== place) act.setWalk({ from: walk.from, to: place });
  }

  #key(event: KeyboardEvent): void {
    const stage = this.#stage;
    const scene = stage?.scene;
    if (stage === undefined || scene === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    const direction = DIRECTIONS[event.key];
    const focus = this.state.focus === undefined ? undefined : scene.byId.get(this.state.focus);
    if (direction !== undefined && event.shiftKey) stage.panBy(PAN[direction]);
    else if (direction !== undefined)
      this.#focusOn(focus === undefined ? scene.items[0] : neighbour(scene, focus, direction));
    else if (event.key === '+' || event.key === '=') stage.zoomBy(1.3);
    else if (event.key === '-') stage.zoomBy(1 / 1.3);
    else if (event.key === '0') stage.fitAll();
    else if (event.key === 'Enter') this.#open(focus);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #focusOn(item: Item | undefined): void {
    if (item === undefined) return;
    const { t } = this.props.app;
    this.#stage?.show(item);
    this.setState({
      focus: item.id,
      said: t.map.chosen([item.title, ...item.lines].map((line) => cut(line, 80)).join(', ')),
    });
  }

  #showFirst(): void {
    const [first] = this.#foundIds() ?? [];
    if (first !== undefined) this.#focusOn(this.#stage?.scene?.byId.get(first));
  }

  override render(): VNode {
    const { app } = this.props;
    const { t, f, state } = app;
    const lab = state.mode === 'lab';
    const found = this.#foundIds();
    const total = state.peers?.peers.length ?? 0;
    return h(
      'section',
      { class: 'map', 'aria-label': t.map.label },
      h(
        'div',
        { class: 'canvas', ref: this.#box },
        h('canvas', { ref: this.#base, 'aria-hidden': 'true' }),
        h('canvas', {
          ref: this.#top,
          tabIndex: 0,
          role: 'application',
          'aria-label': t.map.label,
          'aria-describedby': 'map-hint',
          onKeyDown: (event: KeyboardEvent) => this.#key(event),
          onBlur: () => this.setState({ focus: undefined }),
        }),
        h('p', { id: 'map-hint', class: 'hidden' }, t.map.hint),
        h('p', { class: 'hidden', 'aria-live': 'polite' }, this.state.said),
        !lab && state.overview?.node === undefined && h('p', { class: 'nothing over' }, t.map.noNode),
      ),
      !lab &&
        h(
          'div',
          { class: 'search' },
          searchField(app, { label: t.map.search, placeholder: t.map.placeholder }, () => this.#showFirst()),
          found !== undefined &&
            h('span', { class: 'count', role: 'status' }, t.map.found(f.count(found.size), f.count(total))),
        ),
      legend(app),
      zoomButtons(app, () => this.#stage),
    );
  }
}

const NO_PEERS: readonly PeerView[] = [];

function moves(flow: { out: number; in: number } | undefined): boolean {
  return flow !== undefined && (flow.out > 0 || flow.in > 0);
}

function sameKey(a: readonly unknown[] | undefined, b: readonly unknown[]): boolean {
  return a !== undefined && a.length === b.length && a.every((value, i) => value === b[i]);
}
