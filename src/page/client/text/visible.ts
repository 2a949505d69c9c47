/**
 * Texts of others made safe to look at. Names of Nodes, errors and rules come from elsewhere: they are drawn as text, never as
 * markup, and what would reorder, hide or break the line is shown by its code point instead.
 */

/**
 * Control characters, line separators, what has no width or only directs (UAX #9, UTS #36), noncharacters, lone surrogates; and
 * further combining marks where more than four stand on one character.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Cn}\p{DI}]|(?<=\p{M}{4})\p{M}+/gu;

/** `text` with every character that cannot be seen replaced by its code point, as `⟨U+202E⟩`. */
export function visible(text: string): string {
  return text.replaceAll(HIDDEN, (found) => {
    const code = found.codePointAt(0) ?? 0;
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** At most `max` characters of the visible text, cut in the middle: names of one cluster often differ at their ends. */
export function cut(text: string, max: number): string {
  // What is far too long is not gone through as a whole.
  const whole = text.length > 8 * max ? text.slice(0, 4 * max) + text.slice(-4 * max) : text;
  const characters = Array.from(visible(whole));
  if (characters.length <= max) return characters.join('');
  const tail = Math.floor((max - 1) / 3);
  const head = max - 1 - tail;
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - tail).join('')}`;
}
