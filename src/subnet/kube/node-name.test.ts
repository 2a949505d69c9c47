import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createKubeClient } from '#clients/k8s/client.ts';
import { FakeApi, fastClock } from '#clients/k8s/fake-api.ts';
import { findNodeName } from './node-name.ts';

let api: FakeApi;
beforeEach(() => {
  api = new FakeApi();
});
afterEach(() => api.stop());

function find(env: Record<string, string>): Promise<string> {
  const client = createKubeClient(
    { server: api.url, source: 'test', insecure: false },
    { clock: fastClock, random: Math.random },
  );
  return findNodeName({ env, client, signal: new AbortController().signal });
}

test('NODE_NAME needs no API', async () => {
  expect(await find({ NODE_NAME: 'node-1.example.com', POD_NAME: 'p' })).toBe('node-1.example.com');
  expect(api.requests).toEqual([]);
});

test('else the pod tells', async () => {
  api.intercept = () => Response.json({ metadata: { name: 'p' }, spec: { nodeName: 'n7', containers: [] } });
  expect(await find({ POD_NAME: 'flannel-x', POD_NAMESPACE: 'kube-flannel' })).toBe('n7');
  expect(api.requests[0]?.url.pathname).toBe('/api/v1/namespaces/kube-flannel/pods/flannel-x');
});

test('refuses what is no name, and says what to set', async () => {
  expect(find({ NODE_NAME: '../x' })).rejects.toThrow('is not a node name');
  expect(find({ POD_NAME: 'x' })).rejects.toThrow('NODE_NAME: not set');
  api.intercept = () => Response.json({ spec: {} });
  expect(find({ POD_NAME: 'a', POD_NAMESPACE: 'b' })).rejects.toThrow('has no spec.nodeName');
});
