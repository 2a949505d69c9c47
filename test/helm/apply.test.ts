import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { objectsOf } from '#lab/api/objects.ts';
import { startApiServer } from '#lab/api/server.ts';
import { resourceOf } from '#lab/api/store.ts';
import { renderChart, renderedObjects } from '../support/chart.ts';
import { Kubectl } from '../support/kubectl.ts';
import { manifestObjects, sourcePath, theOnly } from '../support/packaging.ts';

const ORIGINAL = readFileSync(sourcePath('test/fixtures/kube/original-release.yml'), 'utf8');
const RELEASED = 'matchLabels: { app: flannel, k8s-app: flannel }';

const rendered = renderChart({
  away: {},
  looking: { lookup: theOnly(manifestObjects('test/fixtures/kube/original-release.yml'), 'DaemonSet') },
});

test.each([
  ["away from the cluster, over the original's chart", 'away', 'matchLabels: { app: flannel }'],
  ['in the cluster, over a released manifest', 'looking', RELEASED],
] as const)('rendered %s: the same objects, with other contents', async (_name, how, selector) => {
  await using server = await startApiServer();
  using kubectl = new Kubectl(server.url);
  expect(ORIGINAL).toContain(RELEASED);
  await kubectl.ok('apply', '-f', kubectl.write('original.yml', ORIGINAL.replace(RELEASED, selector)));
  const daemonSet = () => objectsOf(server.store, resourceOf('daemonsets')).list('kube-flannel');
  const before = daemonSet();
  const items = renderedObjects(rendered[how]);
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const out = await kubectl.ok('apply', '-f', kubectl.write('rendered.json', list));
  expect(out).not.toContain('created');
  expect(daemonSet().map(({ metadata }) => metadata.uid)).toEqual(before.map(({ metadata }) => metadata.uid));
  expect(daemonSet()[0]?.spec).toEqual(theOnly(items, 'DaemonSet').spec ?? {});
});
