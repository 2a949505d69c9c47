import type { Size } from './geometry.ts';
import { bendPoint } from './geometry.ts';
import type { Palette } from './palette.ts';
import { paintTexts, type TextPainter } from './paint-text.ts';
import type { Item, Link, Scene, Tone } from './scene.ts';
import { toScreen, type Viewport } from './viewport.ts';

export interface Frame {
  readonly ctx: CanvasRenderingContext2D;
  readonly scene: Scene;
  readonly view: Viewport;
  readonly screen: Size;
  readonly palette: Palette;
  readonly text: TextPainter;
  /** Items that the search did not find are pale; undefined: nothing is searched. */
  readonly found?: ReadonlySet<string>;
}

/** Screen px of a box. */
export interface Px {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export function pxOf(view: Viewport, { box }: Pick<Item, 'box'>): Px {
  const { x, y } = toScreen(view, box);
  return { x, y, w: box.w * view.scale, h: box.h * view.scale };
}

function onScreen({ x, y, w, h }: Px, screen: Size): boolean {
  return x + w > -2 && y + h > -2 && x < screen.w + 2 && y < screen.h + 2;
}

/** Everything that holds still: links below, items above them, texts on top. */
export function paintBase(frame: Frame): void {
  const { ctx, scene, screen, view } = frame;
  ctx.clearRect(0, 0, screen.w, screen.h);
  for (const link of scene.links) paintLink(frame, link);
  const cells = new Map<Tone, Path2D>();
  const pale = new Map<Tone, Path2D>();
  const texts: { item: Item; px: Px }[] = [];
  for (const item of scene.items) {
    const px = pxOf(view, item);
    if (!onScreen(px, screen)) continue;
    const dim = frame.found !== undefined && item.kind === 'peer' && !frame.found.has(item.id);
    if (px.w < (item.kind === 'pod' ? 30 : 48) && (item.kind === 'peer' || item.kind === 'pod'))
      addCell(dim ? pale : cells, item.tone, px);
    else {
      paintCard(frame, item, px, dim);
      if (!dim) texts.push({ item, px });
    }
  }
  // Containers have been painted: the many small ones in one stroke for each colour.
  paintCells(frame, pale, 0.22);
  paintCells(frame, cells, 0.85);
  for (const { item, px } of texts) paintTexts(frame, item, px);
}

function addCell(paths: Map<Tone, Path2D>, tone: Tone, { x, y, w, h }: Px): void {
  let path = paths.get(tone);
  if (path === undefined) {
    path = new Path2D();
    paths.set(tone, path);
  }
  // What was left out is hollow, what was refused struck through: not by colour alone.
  if (tone === 'left_out' && w >= 4) path.rect(x + 0.5, y + 0.5, Math.max(1, w - 1), Math.max(1, h - 1));
  else path.rect(x, y, Math.max(0.7, w), Math.max(0.7, h));
  if (tone === 'refused' && w >= 6) {
    path.moveTo(x, y + h);
    path.lineTo(x + w, y);
  }
}

function paintCells({ ctx, palette }: Frame, paths: ReadonlyMap<Tone, Path2D>, alpha: number): void {
  ctx.globalAlpha = alpha;
  for (const [tone, path] of paths) {
    if (tone === 'left_out') {
      ctx.strokeStyle = palette.tones[tone];
      ctx.lineWidth = 1;
      ctx.stroke(path);
      continue;
    }
    ctx.fillStyle = palette.tones[tone];
    ctx.fill(path);
    if (tone === 'refused') {
      ctx.strokeStyle = palette.panel;
      ctx.lineWidth = 1;
      ctx.stroke(path);
    }
  }
  ctx.globalAlpha = 1;
}

function paintCard({ ctx, palette, view }: Frame, item: Item, px: Px, dim: boolean): void {
  const { x, y, w, h } = px;
  const radius = Math.min(item.kind === 'node' ? 10 : 5, 6 * view.scale + 1, h / 2);
  ctx.globalAlpha = dim ? 0.3 : 1;
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, radius);
  ctx.fillStyle =
    item.kind === 'group' ? palette.ground : item.kind === 'node' ? palette.panel : palette.raised;
  if (item.kind === 'device' && item.title === 'cni0') ctx.fillStyle = palette.line;
  ctx.fill();
  const marked = item.tone !== 'plain' && item.tone !== 'pod';
  ctx.strokeStyle = marked ? palette.tones[item.tone] : palette.line;
  ctx.lineWidth = item.kind === 'node' ? 1.5 : 1;
  ctx.setLineDash(item.tone === 'left_out' || item.tone === 'off' ? [4, 3] : []);
  ctx.stroke();
  ctx.setLineDash([]);
  if (item.kind === 'peer' && item.tone !== 'left_out') {
    ctx.fillStyle = palette.tones[item.tone];
    ctx.fillRect(x, y + radius, Math.max(2, Math.min(4, w * 0.03)), h - 2 * radius);
  }
  ctx.globalAlpha = 1;
}

/** The curve of a link as a path, in screen px. */
export function traceLink(ctx: CanvasRenderingContext2D, view: Viewport, { from, to, bend }: Link): void {
  const [a, b] = [toScreen(view, from), toScreen(view, to)];
  const c = bendPoint(a, b, bend);
  ctx.beginPath();
  ctx.moveTo(a.x, a.y);
  ctx.quadraticCurveTo(c.x, c.y, b.x, b.y);
}

/** Thicker for many, but never so that it covers. */
export function linkWidth({ weight }: Link): number {
  return 1 + Math.min(2.5, Math.log2(weight) * 0.3);
}

/** Up to this many lines can be told from each other; more are paler, so that they do not become a carpet. */
const DISTINCT = 150;

function paintLink({ ctx, view, palette, found, scene }: Frame, link: Link): void {
  const strength = (found === undefined ? 0.55 : 0.2) * Math.min(1, Math.sqrt(DISTINCT / scene.links.length));
  traceLink(ctx, view, link);
  ctx.strokeStyle = palette.tones[link.tone];
  ctx.lineWidth = linkWidth(link);
  ctx.globalAlpha = link.tone === 'plain' || link.tone === 'pod' ? 0.7 : strength;
  ctx.setLineDash(link.tone === 'refused' ? [3, 4] : link.tone === 'direct' ? [9, 3] : []);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
}
