import { centre, edgeTowards, type Point } from './geometry.ts';
import { linkWidth, pxOf, traceLink, type Frame } from './paint.ts';
import { paintTexts } from './paint-text.ts';
import type { Item } from './scene.ts';
import { toScreen } from './viewport.ts';

/** What moves or follows the pointer. */
export interface Top {
  readonly hover?: Item;
  readonly focus?: Item;
  readonly chosen: readonly Item[];
  /** Packets per second out and in, by meter. */
  readonly flow: (meter: string) => { readonly out: number; readonly in: number } | undefined;
  /** ms, for what moves; undefined where nothing may move. */
  readonly phase?: number;
  readonly trail?: Trail;
}

/** A walk: the points it has passed, and where the packet is. */
export interface Trail {
  readonly passed: readonly Point[];
  readonly ahead: readonly Point[];
  readonly packet: Point;
  readonly moving: boolean;
  readonly wrapped: boolean;
}

export function paintTop(frame: Frame, top: Top): void {
  const { ctx, screen, scene } = frame;
  ctx.clearRect(0, 0, screen.w, screen.h);
  paintFlow(frame, top);
  for (const item of [top.hover, ...top.chosen]) if (item !== undefined) paintTies(frame, item);
  clearBoxes(frame);
  paintPods(frame, top);
  for (const item of top.chosen) paintRing(frame, item, 2.5);
  if (top.focus !== undefined) paintRing(frame, top.focus, 2, [5, 3]);
  if (top.hover !== undefined) paintHover(frame, top.hover);
  if (top.trail !== undefined && scene.items.length > 0) paintTrail(frame, top.trail, top.phase ?? 0);
}

/** Dashes that run along links whose counters move, faster with more packets. */
function paintFlow({ ctx, scene, view, palette }: Frame, { flow, phase }: Top): void {
  if (phase === undefined) return;
  ctx.lineCap = 'round';
  for (const link of scene.links) {
    const rate = link.meter === undefined ? undefined : flow(link.meter);
    if (rate === undefined) continue;
    for (const [packets, sign] of [
      [rate.out, -1],
      [rate.in, 1],
    ] as const) {
      if (packets <= 0) continue;
      traceLink(ctx, view, link);
      const speed = Math.min(70, 12 + 11 * Math.log10(1 + packets));
      const period = sign < 0 ? 34 : 46;
      ctx.setLineDash([0, period]);
      ctx.lineDashOffset = ((sign * phase * speed) / 1000) % period;
      ctx.strokeStyle = palette.ink;
      ctx.globalAlpha = 0.55;
      ctx.lineWidth = Math.min(2.8, linkWidth(link) + 1);
      ctx.stroke();
    }
  }
  ctx.setLineDash([]);
  ctx.lineCap = 'butt';
  ctx.globalAlpha = 1;
}

/** How much each pod sends and receives: a bar at its foot, by the order of magnitude. */
function paintPods({ ctx, scene, view, screen, palette }: Frame, { flow }: Top): void {
  ctx.fillStyle = palette.tones.tunnel;
  for (const item of scene.items) {
    const rate = item.kind === 'pod' && item.meter !== undefined ? flow(item.meter) : undefined;
    const packets = rate === undefined ? 0 : rate.out + rate.in;
    if (packets <= 0) continue;
    const { x, y, w, h } = pxOf(view, item);
    if (x > screen.w || y > screen.h || x + w < 0 || y + h < 0) continue;
    const height = Math.max(1, Math.min(3, h * 0.2));
    const length = (w - 4) * Math.min(1, Math.log10(1 + packets) / 5);
    ctx.fillRect(x + 2, y + h - height - 1, Math.max(1, length), height);
  }
}

/** Links pass below what stands in their way, and so does what runs along them. */
function clearBoxes({ ctx, scene, view }: Frame): void {
  for (const item of scene.items) {
    if (item.kind !== 'group' && item.kind !== 'peer' && item.kind !== 'place') continue;
    if (item.kind === 'peer' && item.inGroup === true) continue;
    const { x, y, w, h } = pxOf(view, item);
    ctx.clearRect(x, y, w, h);
  }
}

/** The links of an item, stronger; of one peer among many, a line of its own. */
function paintTies(frame: Frame, item: Item): void {
  const { ctx, scene, view, palette } = frame;
  if (item.kind === 'peer' && item.tone !== 'left_out') {
    const node = scene.items.find(({ kind }) => kind === 'node');
    if (node === undefined) return;
    const [a, b] = [edgeTowards(node.box, centre(item.box)), edgeTowards(item.box, centre(node.box))];
    traceLink(ctx, view, { from: a, to: b, bend: 0, tone: item.tone, weight: 1, ends: [] });
    ctx.strokeStyle = palette.tones[item.tone];
    ctx.lineWidth = 2;
    ctx.stroke();
    return;
  }
  for (const link of scene.links) {
    if (!link.ends.includes(item.id)) continue;
    traceLink(ctx, view, link);
    ctx.strokeStyle = palette.tones[link.tone];
    ctx.lineWidth = linkWidth(link) + 1;
    ctx.stroke();
  }
}

function paintRing({ ctx, view, palette }: Frame, item: Item, width: number, dash: number[] = []): void {
  const { x, y, w, h } = pxOf(view, item);
  ctx.beginPath();
  ctx.roundRect(x - 3, y - 3, w + 6, h + 6, 6);
  ctx.strokeStyle = palette.accent;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** A small one shows what it is called: as a card that is large enough to read, kept on the screen. */
function paintHover(frame: Frame, item: Item): void {
  const { ctx, view, palette, screen } = frame;
  const px = pxOf(view, item);
  paintRing(frame, item, 1.5);
  if (px.w >= 130 || item.kind === 'node' || item.kind === 'group') return;
  const [w, h] = [Math.min(230, screen.w - 8), 26 + 15 * Math.min(2, item.lines.length)];
  const x = Math.max(4, Math.min(screen.w - w - 4, px.x + px.w / 2 - w / 2));
  const above = px.y - h - 8;
  const y = above < 4 ? px.y + px.h + 8 : above;
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 5);
  ctx.fillStyle = palette.raised;
  ctx.fill();
  ctx.strokeStyle = palette.tones[item.tone];
  ctx.lineWidth = 1;
  ctx.stroke();
  paintTexts(frame, { ...item, lines: item.lines.slice(0, 2) }, { x, y, w, h });
}

function paintTrail({ ctx, view, palette }: Frame, trail: Trail, phase: number): void {
  const line = (points: readonly Point[]) => {
    ctx.beginPath();
    points.forEach((point, i) => {
      const { x, y } = toScreen(view, point);
      if (i === 0) ctx.moveTo(x, y);
      else ctx.lineTo(x, y);
    });
    ctx.stroke();
  };
  ctx.lineJoin = 'round';
  ctx.strokeStyle = palette.accent;
  ctx.lineWidth = 2;
  ctx.setLineDash([2, 5]);
  ctx.globalAlpha = 0.6;
  line([trail.packet, ...trail.ahead]);
  ctx.setLineDash([]);
  ctx.globalAlpha = 1;
  ctx.lineWidth = 2.5;
  ctx.globalAlpha = 0.8;
  line([...trail.passed, trail.packet]);
  for (const point of trail.passed) {
    const { x, y } = toScreen(view, point);
    ctx.beginPath();
    ctx.arc(x, y, 3, 0, 2 * Math.PI);
    ctx.fillStyle = palette.accent;
    ctx.fill();
  }
  ctx.globalAlpha = 1;
  paintPacket(ctx, palette.accent, palette.panel, {
    ...toScreen(view, trail.packet),
    wrapped: trail.wrapped,
    phase,
  });
}

function paintPacket(
  ctx: CanvasRenderingContext2D,
  colour: string,
  ground: string,
  { x, y, wrapped, phase }: Point & { wrapped: boolean; phase: number },
): void {
  const pulse = 1 + 0.06 * Math.sin(phase / 200);
  if (wrapped) {
    // The packet inside another.
    ctx.beginPath();
    ctx.roundRect(x - 17 * pulse, y - 12 * pulse, 34 * pulse, 24 * pulse, 6);
    ctx.fillStyle = ground;
    ctx.fill();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2.5;
    ctx.stroke();
  }
  ctx.beginPath();
  ctx.roundRect(x - 10, y - 6, 20, 12, 3);
  ctx.fillStyle = colour;
  ctx.fill();
  ctx.strokeStyle = ground;
  ctx.lineWidth = 1.5;
  ctx.stroke();
}
