import { afterEach, beforeEach, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { createKubeClient, type KubeClient } from '#clients/k8s/client.ts';
import { FakeApi, fastClock, status, type Seen } from '#clients/k8s/fake-api.ts';
import { NodeWarning } from './warning.ts';

const signal = new AbortController().signal;
const EVENTS = '/api/v1/namespaces/default/events';
const TEXT = { reason: 'PodCIDRNotAssigned', message: 'pod cidr not assigned', uid: 'u-1' };
let api: FakeApi;
let client: KubeClient;
let warning: NodeWarning;
let time = 0;
let answer: (seen: Seen) => Response;

const clock = { ...fastClock, now: () => 1_700_000_000_500 + time, monotonic: () => time };

beforeEach(() => {
  api = new FakeApi();
  time = 0;
  answer = () => Response.json({ kind: 'Event' });
  api.intercept = (seen) => answer(seen);
  client = createKubeClient(
    { server: api.url, source: 'test', insecure: false },
    { clock, random: Math.random },
  );
  warning = new NodeWarning({ client, nodeName: 'n1', clock, log: silentLogger });
});

afterEach(async () => {
  client.close();
  await api.stop();
});

/** Tells it every five seconds for so long, ms. */
async function lasts(ms: number, text = TEXT): Promise<void> {
  for (const end = time + ms; time < end; time += 5000) await warning.tell(text, signal);
}

const requests = () => api.requests.map(({ method, url }) => `${method} ${url.pathname}`);
const body = (at: number) => JSON.parse(api.requests.at(at)?.body ?? '') as Record<string, unknown>;

test('a moment without podCIDR is no news', async () => {
  await lasts(10_000);
  expect(requests()).toEqual([]);
});

test('one Event that `kubectl describe node` finds, counted up every five minutes', async () => {
  await lasts(200_000);
  expect(requests()).toEqual([`POST ${EVENTS}`]);
  const created = body(0);
  expect(created).toEqual({
    kind: 'Event',
    apiVersion: 'v1',
    metadata: { name: expect.stringMatching(/^n1\.[0-9a-f]+$/), namespace: 'default' },
    involvedObject: { kind: 'Node', apiVersion: 'v1', name: 'n1', uid: 'u-1' },
    type: 'Warning',
    reason: 'PodCIDRNotAssigned',
    message: 'pod cidr not assigned',
    count: 1,
    firstTimestamp: '2023-11-14T22:13:30Z',
    lastTimestamp: '2023-11-14T22:13:30Z',
    source: { component: 'flanneld', host: 'n1' },
    reportingComponent: 'flanneld',
    reportingInstance: 'n1',
  });
  await lasts(800_000);
  const { name } = created['metadata'] as { name: string };
  expect(requests().slice(1)).toEqual(Array(3).fill(`PATCH ${EVENTS}/${name}`));
  expect(api.requests.at(-1)?.headers.get('content-type')).toBe('application/merge-patch+json');
  expect(body(-1)).toMatchObject({ count: 4, lastTimestamp: '2023-11-14T22:28:30Z' });
});

test('an Event that has expired is made anew', async () => {
  answer = ({ method }) =>
    method === 'PATCH' ? status(404, 'NotFound', 'gone') : Response.json({ kind: 'Event' });
  await lasts(320_000);
  expect(requests().map((each) => each.split(' ')[0])).toEqual(['POST', 'PATCH', 'POST']);
});

test('another reason is another Event, at once', async () => {
  await lasts(20_000);
  await lasts(10_000, { ...TEXT, reason: 'PodCIDRNotInNetwork' });
  expect(requests().length).toBe(2);
  expect(body(1)).toMatchObject({ reason: 'PodCIDRNotInNetwork', count: 1 });
});

test.each([401, 403])('%d: never again', async (code) => {
  answer = () => status(code, 'No', 'no');
  await lasts(3_600_000);
  expect(requests().length).toBe(1);
});

test('an API server that is in trouble is asked again later, not at once', async () => {
  answer = () => status(500, 'InternalError', 'broken');
  await lasts(320_000);
  expect(requests().length).toBe(2);
});
