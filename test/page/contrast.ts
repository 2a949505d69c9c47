/** A text as it is drawn, against what is behind it (WCAG 2.2, contrast ratio: 1 to 21). */
export interface Contrast {
  readonly text: string;
  readonly where: string;
  readonly ratio: number;
  /** 24 px, or bold and 18.7 px: 3 is enough, else 4.5. */
  readonly large: boolean;
}

/**
 * Finds every visible text of the page with its contrast. An expression for the browser: a canvas turns any CSS colour into
 * bytes, and grounds that let others through are laid upon each other.
 */
export const CONTRASTS = `(() => {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const bytes = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return { r, g, b, a: a / 255 };
  };
  const over = (top, below) => {
    const mix = (key) => top[key] * top.a + below[key] * (1 - top.a);
    return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 };
  };
  const groundOf = (element) => {
    const grounds = [];
    for (let at = element; at !== null; at = at.parentElement) {
      const ground = bytes(getComputedStyle(at).backgroundColor);
      if (ground.a > 0) grounds.push(ground);
      if (ground.a === 1) break;
    }
    return grounds.reduceRight((below, top) => over(top, below), bytes(getComputedStyle(document.documentElement).colorScheme === 'dark' ? '#121212' : '#fff'));
  };
  const light = ({ r, g, b }) => {
    const linear = (byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement: element } = walker.currentNode;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const hidden = !element.checkVisibility() || box.width < 2 || box.height < 2 || element.closest(':disabled, option, script, style') !== null;
    if (data.trim() === '' || hidden) continue;
    const ground = groundOf(element);
    const [a, b] = [light(over(bytes(style.color), ground)), light(ground)];
    const size = parseFloat(style.fontSize);
    found.push({
      text: data.trim().slice(0, 40),
      where: element.tagName + '.' + element.className,
      ratio: Math.round(((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)) * 100) / 100,
      large: size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700),
    });
  }
  return found;
})()`;
