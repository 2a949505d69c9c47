import { expect, test } from 'bun:test';
import { outageOf, parseReplies } from './outage.ts';

test('no gap, no loss', () => {
  const replies = parseReplies('0 1000.5\n1 1010\n3 1031\n2 1030\n');
  expect(replies[0]).toEqual({ number: 0, at: 1000.5 });
  expect(outageOf(replies)).toEqual({ sent: 4, lost: 0, gapMs: 0 });
});

test('the longest gap counts, all losses add up', () => {
  const replies = parseReplies('0 1000\n2 1020\n3 1030\n9 1090\n10 1100\n11 11');
  expect(replies.length).toBe(5);
  expect(outageOf(replies)).toEqual({ sent: 11, lost: 6, gapMs: 60 });
});

test('nothing at all is no outage that could be measured', () => {
  expect(outageOf(parseReplies(''))).toEqual({ sent: 0, lost: 0, gapMs: 0 });
});
