import type { Box, Point, Size } from './geometry.ts';

/** What of the scene is on the screen: screen = scene × scale + offset, in CSS px. */
export interface Viewport {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

const LARGEST = 8;
/** Room for what stands at the lower edge, px. */
const LEGEND = 28;

/** A few proportions of a screen stand for all: the map is not laid out anew at every px. */
export function aspectOf({ w, h }: Size): number {
  const exact = w / Math.max(1, h);
  return exact < 0.85 ? 0.7 : exact < 1.35 ? 1.1 : 1.7;
}

/** The whole scene in the middle, with a margin; on a large screen somewhat larger than it is, never more. */
export function fit(bounds: Box, whole: Size, margin = 24): Viewport {
  const screen = { w: whole.w, h: Math.max(1, whole.h - LEGEND) };
  const largest = Math.max(1.25, Math.min(2.5, screen.w / 1500));
  const room = { w: Math.max(1, screen.w - 2 * margin), h: Math.max(1, screen.h - 2 * margin) };
  const scale = Math.min(room.w / Math.max(1, bounds.w), room.h / Math.max(1, bounds.h), largest);
  return {
    scale,
    x: screen.w / 2 - (bounds.x + bounds.w / 2) * scale,
    y: screen.h / 2 - (bounds.y + bounds.h / 2) * scale,
  };
}

/** Larger by `factor`; what is at `at` on the screen stays there. Not smaller than a third of the whole. */
export function zoom(view: Viewport, factor: number, at: Point, whole: Viewport): Viewport {
  const wanted = view.scale * factor;
  const scale = Math.min(Math.max(LARGEST, whole.scale), Math.max(whole.scale / 3, wanted));
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/** Moved by px; some of the scene always stays on the screen. */
export function pan(view: Viewport, by: Point, bounds: Box, screen: Size): Viewport {
  return keep({ ...view, x: view.x + by.x, y: view.y + by.y }, bounds, screen);
}

function keep(view: Viewport, bounds: Box, screen: Size): Viewport {
  const rest = 60;
  const clamp = (offset: number, from: number, length: number, room: number) =>
    Math.min(room - rest - from * view.scale, Math.max(rest - (from + length) * view.scale, offset));
  return {
    scale: view.scale,
    x: clamp(view.x, bounds.x, bounds.w, screen.w),
    y: clamp(view.y, bounds.y, bounds.h, screen.h),
  };
}

export function toScene(view: Viewport, at: Point): Point {
  return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}

export function toScreen(view: Viewport, at: Point): Point {
  return { x: at.x * view.scale + view.x, y: at.y * view.scale + view.y };
}

/** Moves no more than it must so that `box` is on the screen; when it is too small to read, also nearer. */
export function reveal(view: Viewport, box: Box, screen: Size, readable = 140): Viewport {
  let next = view;
  if (box.w * view.scale < readable) {
    const scale = Math.min(LARGEST, readable / box.w);
    const middle = { x: box.x + box.w / 2, y: box.y + box.h / 2 };
    next = { scale, x: screen.w / 2 - middle.x * scale, y: screen.h / 2 - middle.y * scale };
  }
  const margin = 40;
  const shift = (offset: number, from: number, length: number, room: number) => {
    const start = from * next.scale + offset;
    const end = start + length * next.scale;
    if (end - start > room - 2 * margin) return (room - start - end) / 2;
    return start < margin ? margin - start : end > room - margin ? room - margin - end : 0;
  };
  return {
    scale: next.scale,
    x: next.x + shift(next.x, box.x, box.w, screen.w),
    y: next.y + shift(next.y, box.y, box.h, screen.h),
  };
}
