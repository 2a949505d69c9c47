import type { Netns } from '#ffi/netns.ts';

/** A network namespace in which a packet is looked for. */
export interface Spot {
  readonly kind: 'pod' | 'node' | 'world' | 'underlay';
  /** What it is called in the story. */
  readonly name: string;
  /** argv that runs `argv` there. */
  enter(argv: readonly string[]): readonly string[];
  openNetns(): Netns;
}
