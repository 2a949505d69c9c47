import type { Box, Size } from './geometry.ts';

export interface RingOptions {
  /** How much wider than high the whole is to be. */
  readonly aspect: number;
  /** Least distance between two boxes, and of the first ring from the core. */
  readonly gap: number;
  readonly inner: number;
}

/**
 * Boxes on rings around a core in the middle (0, 0), in the order given, clockwise from the top. No two overlap, nor does one the
 * core. As few and as small rings as hold them; the rings are ellipses of the given aspect.
 */
export function placeOnRings(sizes: readonly Size[], core: Size, options: RingOptions): Box[] {
  if (sizes.length === 0) return [];
  // Circles, on a plane that is stretched afterwards: stretching brings nothing closer.
  const radius = ({ w, h }: Size) => Math.hypot(w / options.aspect, h) / 2;
  const radii = sizes.map((size) => radius(size) + options.gap / 2);
  const biggest = Math.max(...radii);
  const first = radius(core) + options.inner + biggest;
  let best: Ring[] | undefined;
  for (let count = 1; count <= Math.max(1, Math.ceil(Math.sqrt(sizes.length))); count += 1) {
    const rings = fill(radii, first, count);
    const outer = rings.at(-1)?.radius ?? 0;
    if (best !== undefined && outer >= (best.at(-1)?.radius ?? 0)) break;
    best = rings;
  }
  return (best ?? []).flatMap((ring) => boxesOf(ring, sizes, radii, options.aspect));
}

interface Ring {
  readonly radius: number;
  readonly from: number;
  readonly to: number;
}

/** `count` rings, the first at `first` or so far out that all have room; each takes its share of the boxes in order. */
function fill(radii: readonly number[], first: number, count: number): Ring[] {
  const width = 2 * Math.max(...radii);
  for (let inner = first; ; inner *= 1.05) {
    const distances = Array.from({ length: count }, (_, i) => inner + i * width);
    const whole = distances.reduce((sum, distance) => sum + distance, 0);
    const rings: Ring[] = [];
    let from = 0;
    let share = 0;
    for (const distance of distances) {
      share += distance;
      const to = Math.round((radii.length * share) / whole);
      rings.push({ radius: distance, from, to });
      from = to;
    }
    if (rings.every((ring) => needed(ring, radii) <= 2 * Math.PI)) return rings.filter((r) => r.to > r.from);
  }
}

/** The angle that a circle of `radius` takes on a ring. */
function angleOf(radius: number, distance: number): number {
  return 2 * Math.asin(Math.min(1, radius / distance));
}

function needed({ radius, from, to }: Ring, radii: readonly number[]): number {
  if (to - from < 2) return 0;
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += angleOf(radii[i] ?? 0, radius);
  return sum;
}

function boxesOf(ring: Ring, sizes: readonly Size[], radii: readonly number[], aspect: number): Box[] {
  const count = ring.to - ring.from;
  const spare = (2 * Math.PI - needed(ring, radii)) / count;
  // The first one stands at the top.
  let angle = -Math.PI / 2 - (angleOf(radii[ring.from] ?? 0, ring.radius) + spare) / 2;
  return sizes.slice(ring.from, ring.to).map(({ w, h }, i) => {
    const own = (count < 2 ? 0 : angleOf(radii[ring.from + i] ?? 0, ring.radius)) + spare;
    const at = count < 2 ? -Math.PI / 2 : angle + own / 2;
    angle += own;
    return {
      x: Math.cos(at) * ring.radius * aspect - w / 2,
      y: Math.sin(at) * ring.radius - h / 2,
      w,
      h,
    };
  });
}
