import { expect, test } from 'bun:test';
import { ERRNO, ErrnoError } from '#base/errors.ts';
import { testDirectRoute, testLink, testPeer } from './fixtures.ts';
import { familyOf, Pass } from './pass.ts';

const error = (what: string) => new ErrnoError(what, ERRNO.EINVAL);

test('an error of one family does not block while the other is without', () => {
  const pass = new Pass(['ipv4', 'ipv6']);
  expect(pass.report().blocking).toBeUndefined();
  pass.fail(error('six'), 'ipv6');
  expect(pass.report()).toMatchObject({ errors: [error('six')], blocking: undefined });
  pass.fail(error('four'), 'ipv4');
  expect(pass.report().blocking).toEqual(error('six'));
});

test('with one family alone, and for the whole node, every error blocks', () => {
  const alone = new Pass(['ipv6']);
  alone.fail(error('six'), 'ipv6');
  expect(alone.report().blocking).toEqual(error('six'));
  const node = new Pass(['ipv4', 'ipv6']);
  node.fail(error('node'));
  expect(node.report().blocking).toEqual(error('node'));
});

test('what an operation is about', () => {
  const [neighbour, fdb] = testPeer(2);
  if (neighbour === undefined || fdb === undefined) throw new Error('two entries');
  expect([
    familyOf({ op: 'create-vxlan', link: testLink() }),
    familyOf({ op: 'put', entry: neighbour }),
    familyOf({ op: 'remove', entry: fdb }),
    familyOf({ op: 'put', entry: testDirectRoute(2) }),
    familyOf({ op: 'add-blackhole', dst: testDirectRoute(2).dst }),
    familyOf({ op: 'delete-link', name: 'flannel.1' }),
  ]).toEqual(['ipv4', 'ipv4', 'ipv4', 'ipv4', 'ipv4', undefined]);
});
