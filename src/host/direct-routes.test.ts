import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileDirectRoutes } from './direct-routes.ts';
import { testDirectRoute } from './fixtures.ts';
import { describeEntry } from './plan.ts';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'direct-routes-'));
  path = join(folder, 'run', 'direct-routes');
});
afterEach(() => rmSync(folder, { recursive: true }));

const known = () => new FileDirectRoutes(path).known().map(describeEntry);

test('what is remembered is known after a restart, what is forgotten is not', () => {
  const routes = new FileDirectRoutes(path);
  expect(existsSync(path)).toBe(false);
  routes.remember([testDirectRoute(2), testDirectRoute(3)]);
  expect(known()).toEqual([describeEntry(testDirectRoute(2)), describeEntry(testDirectRoute(3))]);
  routes.forget([testDirectRoute(2)]);
  expect(known()).toEqual([describeEntry(testDirectRoute(3))]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('the file is written only for news', () => {
  const routes = new FileDirectRoutes(path);
  routes.remember([testDirectRoute(2)]);
  rmSync(path);
  routes.remember([testDirectRoute(2)]);
  routes.forget([testDirectRoute(9)]);
  expect(existsSync(path)).toBe(false);
  routes.remember([{ ...testDirectRoute(2), link: 'eth1' }]);
  expect(known()).toEqual(['route 10.244.2.0/24 via 192.168.50.2 dev eth1']);
});

test('a damaged file costs only its damaged lines', () => {
  new FileDirectRoutes(path).remember([testDirectRoute(2)]);
  const sound = readFileSync(path, 'utf8');
  const damage = [
    '',
    '\0\0\0',
    '10.244.5.0/24',
    '10.244.5.0/24 eth0',
    'x y z',
    '10.244.6.0/24 192.168.50.6 ',
  ];
  writeFileSync(path, `${damage.join('\n')}\n${sound}10.244.7.0/2`);
  expect(known()).toEqual([describeEntry(testDirectRoute(2))]);
});

test('a file that cannot be read is an empty one', () => {
  expect(new FileDirectRoutes(folder).known()).toEqual([]);
  expect(() => new FileDirectRoutes(folder).remember([testDirectRoute(2)])).toThrow();
});
