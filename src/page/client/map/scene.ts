import type { Box, Point } from './geometry.ts';

/** What colours and shapes stand for; the painter and the style sheet give them their looks. */
export type Tone = 'tunnel' | 'direct' | 'refused' | 'left_out' | 'node' | 'pod' | 'off' | 'plain' | 'world';

export type Kind = 'node' | 'group' | 'peer' | 'pod' | 'device' | 'place';

/** Something that stands somewhere. Texts are others' and not yet made visible. */
export interface Item {
  /** Unique in its scene: kind and name. */
  readonly id: string;
  readonly kind: Kind;
  readonly box: Box;
  readonly tone: Tone;
  readonly title: string;
  readonly lines: readonly string[];
  /** It stands inside a group. */
  readonly inGroup?: true;
  /** A name that a walk may begin or end at. */
  readonly place?: string;
  /** Whose counters say how busy it is. */
  readonly meter?: string;
}

export interface Link {
  readonly from: Point;
  readonly to: Point;
  /** Share of its length by which its middle is moved aside. */
  readonly bend: number;
  readonly tone: Tone;
  /** How many tunnels are drawn as this one. */
  readonly weight: number;
  /** Items at its ends: it is drawn stronger while one of them is chosen. */
  readonly ends: readonly string[];
  /** Whose counters move it; sent is from `from` to `to`. */
  readonly meter?: string;
}

/** What the map shows. In units of its own, px at scale 1; what contains others comes before them. */
export interface Scene {
  readonly bounds: Box;
  readonly items: readonly Item[];
  readonly links: readonly Link[];
  readonly byId: ReadonlyMap<string, Item>;
}

export function sceneOf(bounds: Box, items: readonly Item[], links: readonly Link[]): Scene {
  return { bounds, items, links, byId: new Map(items.map((item) => [item.id, item])) };
}
