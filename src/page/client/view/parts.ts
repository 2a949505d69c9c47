import type { ComponentChildren, VNode } from 'preact';
import { h } from './h.ts';
import { cut, visible } from '../text/visible.ts';
import type { Failure } from '../app/api.ts';
import type { Messages } from '../text/en.ts';

/** A text of somebody else: isolated from the direction of its surroundings, cut when long, the whole of it on hover. */
export function text(value: string, max = 64): VNode {
  const shown = cut(value, max);
  const whole = visible(value.slice(0, 2000));
  return h('bdi', shown === whole ? {} : { title: whole }, shown);
}

export function mono(value: string, max = 64): VNode {
  return h('code', null, text(value, max));
}

/** Some of a list of addresses, each on its own line. */
export function lines(values: readonly string[], max = 48): VNode {
  return h(
    'span',
    { class: 'lines' },
    values.map((value, i) => h('span', { key: i }, mono(value, max))),
  );
}

/** A state as a word with its mark, never by colour alone. */
export function tag(tone: string, word: string, title?: string): VNode {
  return h('span', { class: `tag tone-${tone}`, title }, h('i', { 'aria-hidden': 'true' }), word);
}

export function button(
  label: ComponentChildren,
  onClick: () => void,
  more: Record<string, unknown> = {},
): VNode {
  return h('button', { type: 'button', onClick, ...more }, label);
}

/** Why there was no answer, in words: the server's own where it gave some. */
export function failureText(t: Messages, failure: Failure): string {
  switch (failure.kind) {
    case 'status': {
      const { problem, status } = failure;
      if (problem === undefined) return t.silence.status(status);
      return [problem.error, problem.cure]
        .filter((part) => part !== undefined)
        .map((part) => cut(part, 400))
        .join(' ');
    }
    case 'schema':
      return t.silence.schema(cut(failure.found, 20));
    case 'network':
    case 'timeout':
    case 'shape':
      return t.silence[failure.kind];
  }
}

/** The course of a rate, as a line. Decoration: the number stands beside it. */
export function sparkline(values: readonly number[], label: string): VNode {
  const [width, height] = [96, 20];
  const highest = Math.max(1, ...values);
  const points = values.map((value, i) => {
    const x = width - (values.length - 1 - i) * (width / 39);
    return `${x.toFixed(1)},${(height - 2 - (value / highest) * (height - 4)).toFixed(1)}`;
  });
  const line = points.join(' ');
  const [first = '0,0'] = points;
  return h(
    'svg',
    { class: 'spark', viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label },
    h('title', null, label),
    h('line', { class: 'ground', x1: 0, y1: height - 1.5, x2: width, y2: height - 1.5 }),
    values.length > 1 &&
      h('polygon', { points: `${first.split(',')[0]},${height - 2} ${line} ${width},${height - 2}` }),
    values.length > 1 && h('polyline', { points: line }),
  );
}
