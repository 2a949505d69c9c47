import type { Point } from './geometry.ts';
import type { Stage } from './stage.ts';

/** Movements below this are a click, px. */
const CLICK_PX = 5;

/** Drag, wheel and two fingers on the map. Returns what undoes it. */
export function attachGestures(element: HTMLElement, stage: Stage, clicked: (at: Point) => void): () => void {
  const pointers = new Map<number, Point>();
  let start: Point | undefined;
  let dragged = false;
  const at = (event: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    start = pointers.size === 1 ? at(event) : undefined;
    dragged = pointers.size > 1;
  };
  const move = (event: PointerEvent) => {
    const now = at(event);
    const before = pointers.get(event.pointerId);
    if (before === undefined) {
      stage.hoverAt(now);
      return;
    }
    if (start !== undefined && Math.hypot(now.x - start.x, now.y - start.y) > CLICK_PX) dragged = true;
    if (!dragged) return;
    stage.hoverAt(undefined);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    const share = other === undefined ? 1 : 0.5;
    stage.panBy({ x: (now.x - before.x) * share, y: (now.y - before.y) * share });
    if (other !== undefined) {
      const [near, far] = [
        Math.hypot(before.x - other.x, before.y - other.y),
        Math.hypot(now.x - other.x, now.y - other.y),
      ];
      if (near > 0 && far > 0)
        stage.zoomBy(far / near, { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    }
    pointers.set(event.pointerId, now);
  };
  const up = (event: PointerEvent) => {
    const held = pointers.delete(event.pointerId);
    if (held && !dragged && pointers.size === 0 && event.type === 'pointerup') clicked(at(event));
  };
  const leave = () => stage.hoverAt(undefined);
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    // Lines and pages as px; a pinch on a touch pad comes as a wheel with Ctrl.
    const px = event.deltaY * [1, 30, 400][event.deltaMode]!;
    stage.zoomBy(Math.exp(-Math.max(-200, Math.min(200, px)) * (event.ctrlKey ? 0.01 : 0.0022)), at(event));
  };
  const listeners = {
    pointerdown: down,
    pointermove: move,
    pointerup: up,
    pointercancel: up,
    pointerleave: leave,
  };
  for (const [type, listener] of Object.entries(listeners))
    element.addEventListener(type, listener as EventListener);
  element.addEventListener('wheel', wheel, { passive: false });
  return () => {
    for (const [type, listener] of Object.entries(listeners))
      element.removeEventListener(type, listener as EventListener);
    element.removeEventListener('wheel', wheel);
  };
}
