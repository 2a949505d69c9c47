import { expect, test } from 'bun:test';
import type { LeaseEvent } from '#subnet/manager.ts';
import { Inbox } from './inbox.ts';

const drop = (name: string): LeaseEvent => ({ type: 'delete', name });

test('events of one moment are handed over together, in order, and never at once', async () => {
  const groups: (readonly LeaseEvent[])[] = [];
  const inbox = new Inbox((events) => groups.push(events));
  for (const name of ['a', 'b', 'c']) inbox.add(drop(name));
  expect(groups).toEqual([]);
  await Bun.sleep(20);
  expect(groups).toEqual([[drop('a'), drop('b'), drop('c')]]);
  inbox.add(drop('d'));
  await Bun.sleep(20);
  expect(groups).toHaveLength(2);
});

test('closed, it hands nothing over any more', async () => {
  const groups: (readonly LeaseEvent[])[] = [];
  const inbox = new Inbox((events) => groups.push(events));
  inbox.add(drop('a'));
  inbox.close();
  inbox.add(drop('b'));
  await Bun.sleep(20);
  expect(groups).toEqual([]);
});
