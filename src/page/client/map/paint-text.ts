import { cut, visible } from '../text/visible.ts';
import type { Frame, Px } from './paint.ts';
import type { Item } from './scene.ts';

/** Texts cut to the room there is, measured once. */
export class TextPainter {
  readonly #cut = new Map<string, string>();

  /** The most of `text` that fits into `width` px in the context's font. */
  fit(ctx: CanvasRenderingContext2D, text: string, width: number): string {
    const room = Math.floor(width);
    const key = `${ctx.font}\n${room}\n${text}`;
    const known = this.#cut.get(key);
    if (known !== undefined) return known;
    if (this.#cut.size > 20_000) this.#cut.clear();
    const result = measure(ctx, text, room);
    this.#cut.set(key, result);
    return result;
  }
}

function measure(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  const whole = cut(text, 200);
  if (ctx.measureText(whole).width <= room) return whole;
  let [low, high] = [0, Math.min(200, Array.from(whole).length)];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (ctx.measureText(cut(text, middle)).width <= room) low = middle;
    else high = middle - 1;
  }
  return low < 2 ? '' : cut(text, low);
}

/** The texts of an item that has room for them. */
export function paintTexts(frame: Frame, item: Item, px: Px): void {
  if (item.kind === 'node') nodeTexts(frame, item, px);
  else if (item.kind === 'group') groupTexts(frame, item, px);
  else boxTexts(frame, item, px);
}

interface Line {
  readonly text: string;
  readonly size: number;
  readonly mono: boolean;
  readonly strong: boolean;
}

function draw({ ctx, palette, text }: Frame, line: Line, x: number, y: number, width: number): number {
  ctx.font = `${line.strong ? 600 : 400} ${line.size}px ${line.mono ? palette.mono : palette.sans}`;
  ctx.fillStyle = line.strong ? palette.ink : palette.muted;
  ctx.textBaseline = 'middle';
  const shown = text.fit(ctx, line.text, width);
  ctx.fillText(shown, x, y);
  return shown === '' ? 0 : ctx.measureText(shown).width;
}

/** Title and lines stacked and centred in the height of the box. */
function boxTexts(frame: Frame, item: Item, { x, y, w, h }: Px): void {
  if (w < 29 || h < 9.5) return;
  const wanted = 1 + Math.min(2, item.lines.length);
  const size = Math.max(8.5, Math.min(15, 8 + 6 * frame.view.scale, h / wanted / 1.45, w / 6));
  const lead = size * 1.25;
  const left = x + Math.min(10, w * 0.06) + (item.kind === 'peer' ? 3 : 0);
  const width = w - (left - x) - Math.min(6, w * 0.04);
  const lines = item.lines.slice(0, Math.max(0, Math.floor((h - 3) / lead) - 1));
  const top = y + h / 2 - ((lines.length + 1) * lead) / 2 + lead / 2;
  const mono = item.kind !== 'peer' && item.kind !== 'place';
  draw(frame, { text: item.title, size, mono, strong: true }, left, top, width);
  lines.forEach((text, i) => {
    draw(frame, { text, size: size - 1, mono: true, strong: false }, left, top + (i + 1) * lead, width);
  });
}

function nodeTexts(frame: Frame, item: Item, { x, y, w }: Px): void {
  const scale = frame.view.scale;
  if (w < 60) return;
  const size = Math.max(10, Math.min(20, 17 * scale));
  const left = x + 12 * scale;
  const width = w - 24 * scale;
  draw(frame, { text: item.title, size, mono: false, strong: true }, left, y + 20 * scale, width);
  if (scale < 0.55) return;
  const line = item.lines.map((text) => visible(text)).join('   ');
  draw(
    frame,
    { text: line, size: Math.max(9.5, 11.5 * scale), mono: true, strong: false },
    left,
    y + 40 * scale,
    width,
  );
}

/** The prefix and the number of its peers on one line, where they have room. */
function groupTexts(frame: Frame, item: Item, { x, y, w, h }: Px): void {
  const scale = frame.view.scale;
  const height = 20 * scale;
  if (w < 52 || h < 20 || height < 8) return;
  // A prefix that is cut says nothing: it is written smaller, or not at all.
  const room = w - 8 * scale;
  const size = Math.min(14, Math.max(8.5, height * 0.62), room / (item.title.length * 0.61));
  if (size < 6.8) return;
  const [left, middle] = [x + 6 * scale, y + 3 * scale + height / 2];
  const used = draw(frame, { text: item.title, size, mono: true, strong: true }, left, middle, room);
  const [count = ''] = item.lines;
  const rest = room - used - 10;
  if (rest > 30) {
    draw(frame, { text: count, size, mono: false, strong: false }, left + used + 10, middle, rest);
  }
}
