import { expect, test } from 'bun:test';
import { ConfigError } from '#base/errors.ts';
import { annotationKeys } from './annotations.ts';

test.each([
  [undefined, 'flannel.alpha.coreos.com/'],
  ['flannel.alpha.coreos.com', 'flannel.alpha.coreos.com/'],
  ['flannel.alpha.coreos.com/', 'flannel.alpha.coreos.com/'],
  ['example.com/foo', 'example.com/foo-'],
  ['example.com/foo-', 'example.com/foo-'],
  ['example.com/foo_1', 'example.com/foo_1-'],
])('prefix %s', (given, prefix) => {
  const keys = annotationKeys(given);
  expect(keys.managed).toBe(`${prefix}kube-subnet-manager`);
  expect(keys.backendData).toEqual({ ipv4: `${prefix}backend-data`, ipv6: `${prefix}backend-v6-data` });
  expect(keys.publicIpOverwrite.ipv6).toBe(`${prefix}public-ipv6-overwrite`);
});

test.each(['', 'nodots', 'a.b/c/d', '/x', 'a.b/Foo', 'A.b', 'a.b/ x', 'a..b'])('refuses %j', (given) => {
  expect(() => annotationKeys(given)).toThrow(ConfigError);
});
