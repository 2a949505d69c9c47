import { expect, test } from 'bun:test';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { describeInNetns } from '../support/netns.ts';

describeInNetns(import.meta.path, 'links', () => {
  test('a fresh namespace has lo alone', () => {
    using client = Rtnetlink.open();
    expect(client.links().map(({ name }) => name)).toEqual(['lo']);
  });
});
