import { holds, type Point, type Size } from './geometry.ts';
import { paintBase, type Frame } from './paint.ts';
import { TextPainter } from './paint-text.ts';
import { paintTop, type Top } from './paint-top.ts';
import { readPalette, type Palette } from './palette.ts';
import { pick } from './pick.ts';
import type { Item, Scene } from './scene.ts';
import { aspectOf, fit, pan, reveal, toScene, zoom, type Viewport } from './viewport.ts';

/** What the map shows besides its scene; asked for at every frame. */
export interface StageView {
  readonly chosen: readonly string[];
  readonly focus: string | undefined;
  readonly found: ReadonlySet<string> | undefined;
  readonly flow: Top['flow'];
  /** Whether any counter moves: then dashes run. */
  readonly flowing: boolean;
  /** Called at every frame with the ms since the last; where the packet of a walk is. */
  readonly trail: (ms: number) => Top['trail'];
}

export interface StageOptions {
  readonly base: HTMLCanvasElement;
  readonly top: HTMLCanvasElement;
  readonly look: () => StageView;
  readonly still: () => boolean;
}

const EMPTY: Size = { w: 0, h: 0 };

/**
 * Two canvases: what holds still below, what moves above, so that a frame of running dashes does not paint thousands of peers again. It
 * paints on demand, and without end only while something moves.
 */
export class Stage {
  readonly #options: StageOptions;
  readonly #text = new TextPainter();
  #scene: Scene | undefined;
  #view: Viewport | undefined;
  /** Whether the reader has moved the map: if not, it stays fitted. */
  #moved = false;
  #screen = EMPTY;
  #palette: Palette | undefined;
  #dirty = true;
  #frame = 0;
  #last = 0;
  hover: Item | undefined;

  constructor(options: StageOptions) {
    this.#options = options;
  }

  get scene(): Scene | undefined {
    return this.#scene;
  }

  setScene(scene: Scene): void {
    if (scene === this.#scene) return;
    this.#scene = scene;
    this.hover = this.hover === undefined ? undefined : scene.byId.get(this.hover.id);
    this.repaint();
  }

  get aspect(): number {
    return aspectOf(this.#screen);
  }

  /** After a change of size, in CSS px. */
  resize(screen: Size): void {
    this.#screen = screen;
    const ratio = Math.min(3, globalThis.devicePixelRatio || 1);
    for (const canvas of [this.#options.base, this.#options.top]) {
      canvas.width = Math.max(1, Math.round(screen.w * ratio));
      canvas.height = Math.max(1, Math.round(screen.h * ratio));
      canvas.getContext('2d')?.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.repaint();
  }

  /** After a change of colours. */
  recolour(): void {
    this.#palette = undefined;
    this.repaint();
  }

  /** Everything again. */
  repaint(): void {
    this.#dirty = true;
    this.wake();
  }

  /** What moves, again. */
  wake(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((now) => this.#paint(now));
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #viewport(): Viewport | undefined {
    if (this.#scene === undefined || this.#screen.w === 0) return undefined;
    if (this.#view === undefined || !this.#moved) this.#view = fit(this.#scene.bounds, this.#screen);
    return this.#view;
  }

  #set(view: Viewport): void {
    this.#moved = true;
    this.#view = view;
    this.repaint();
  }

  zoomBy(factor: number, at: Point = { x: this.#screen.w / 2, y: this.#screen.h / 2 }): void {
    const view = this.#viewport();
    if (view === undefined || this.#scene === undefined) return;
    this.#set(zoom(view, factor, at, fit(this.#scene.bounds, this.#screen)));
  }

  panBy(by: Point): void {
    const view = this.#viewport();
    if (view === undefined || this.#scene === undefined) return;
    this.#set(pan(view, by, this.#scene.bounds, this.#screen));
  }

  fitAll(): void {
    this.#moved = false;
    this.repaint();
  }

  /** Brings an item into sight; nearer only when it could not be read otherwise. */
  show(item: Item, readable?: number): void {
    const view = this.#viewport();
    if (view === undefined) return;
    const next = reveal(view, item.box, this.#screen, readable);
    if (next.scale !== view.scale || next.x !== view.x || next.y !== view.y) this.#set(next);
  }

  itemAt(at: Point): Item | undefined {
    const view = this.#viewport();
    if (view === undefined || this.#scene === undefined) return undefined;
    const point = toScene(view, at);
    return holds(this.#scene.bounds, point) ? pick(this.#scene, point) : undefined;
  }

  hoverAt(at: Point | undefined): void {
    const item = at === undefined ? undefined : this.itemAt(at);
    if (item === this.hover) return;
    this.hover = item;
    this.wake();
  }

  #paint(now: number): void {
    this.#frame = 0;
    const view = this.#viewport();
    const scene = this.#scene;
    const { base, top, look, still } = this.#options;
    const [below, above] = [base.getContext('2d'), top.getContext('2d')];
    if (view === undefined || scene === undefined || below === null || above === null) return;
    this.#palette ??= readPalette(base);
    const shown = look();
    const parts = { scene, view, screen: this.#screen, palette: this.#palette, text: this.#text };
    const frame: Frame = {
      ...parts,
      ctx: below,
      ...(shown.found === undefined ? {} : { found: shown.found }),
    };
    if (this.#dirty) paintBase(frame);
    this.#dirty = false;
    // The first frame after a rest takes no step.
    const passed = now - this.#last > 250 ? 0 : now - this.#last;
    this.#last = now;
    const trail = shown.trail(passed);
    paintTop({ ...frame, ctx: above }, this.#top(shown, trail, now));
    const moving = trail?.moving === true || (shown.flowing && !still());
    if (moving) this.wake();
  }

  #top(shown: StageView, trail: Top['trail'], now: number): Top {
    const byId = this.#scene?.byId;
    const focus = shown.focus === undefined ? undefined : byId?.get(shown.focus);
    return {
      chosen: shown.chosen.flatMap((id) => byId?.get(id) ?? []),
      flow: shown.flow,
      ...(this.hover === undefined ? {} : { hover: this.hover }),
      ...(focus === undefined ? {} : { focus }),
      ...(this.#options.still() ? {} : { phase: now }),
      ...(trail === undefined ? {} : { trail }),
    };
  }
}
