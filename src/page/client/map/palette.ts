import type { Tone } from './scene.ts';

/** Colours and fonts of the map, from the style sheet: they follow light and dark. */
export interface Palette {
  readonly ground: string;
  readonly panel: string;
  readonly raised: string;
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly accent: string;
  readonly tones: Readonly<Record<Tone, string>>;
  readonly sans: string;
  readonly mono: string;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const value = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: value('ground'),
    panel: value('panel'),
    raised: value('raised'),
    ink: value('ink'),
    muted: value('muted'),
    line: value('line'),
    accent: value('accent'),
    tones: {
      tunnel: value('tunnel'),
      direct: value('direct'),
      refused: value('refused'),
      left_out: value('left-out'),
      node: value('accent'),
      pod: value('pod'),
      off: value('muted'),
      plain: value('wire'),
      world: value('direct'),
    },
    sans: value('sans'),
    mono: value('mono'),
  };
}
