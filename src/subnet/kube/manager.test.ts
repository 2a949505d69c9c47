import { afterEach, beforeEach, expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { createKubeClient } from '#clients/k8s/client.ts';
import { FakeApi, fakeNode, fastClock, status, until } from '#clients/k8s/fake-api.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { parseNetworkConfig } from '../config.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord, SubnetManager } from '../manager.ts';
import { createKubeManager } from './manager.ts';

const P = 'flannel.alpha.coreos.com/';
const CONFIG = parseNetworkConfig('{"Network":"10.244.0.0/16"}', { source: 'net-conf.json' }).config;
const DUAL = parseNetworkConfig(
  '{"Network":"10.244.0.0/16","EnableIPv6":true,"IPv6Network":"2001:cafe:42::/56"}',
  { source: 'net-conf.json' },
).config;
const ATTRIBUTES: OwnAttributes = {
  backendType: 'vxlan',
  publicIp: { ipv4: Ip.parse('192.168.50.11') },
  backendData: { ipv4: '{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}' },
};

let api: FakeApi;
let manager: SubnetManager;
let stop: AbortController;
let lines: string[];
let events: LeaseEvent[];
let changes: OwnRecord[];
let watching: Promise<void> | undefined;

beforeEach(() => {
  api = new FakeApi();
  stop = new AbortController();
  lines = [];
  events = [];
  changes = [];
  watching = undefined;
  const log = createLogger({
    level: 'info',
    format: 'text',
    now: () => new Date(0),
    write: (line) => void lines.push(line),
  });
  const client = createKubeClient(
    { server: api.url, source: 'test', insecure: false },
    { clock: fastClock, random: Math.random, timeout: 2000, watchTimeout: 3000, collectGarbage: () => {} },
  );
  manager = createKubeManager({
    client,
    nodeName: 'n1',
    log,
    clock: fastClock,
    random: Math.random,
    onOwnChange: (record) => void changes.push(record),
  });
});

afterEach(async () => {
  stop.abort(new Error('test over'));
  await watching;
  await api.stop();
});

const bare = (podCIDR?: string) => ({
  metadata: { name: 'n1' },
  ...(podCIDR !== undefined && { spec: { podCIDR } }),
});
const logged = (words: string) => lines.filter((line) => line.includes(words));
const own = () => api.nodes.get('n1')?.metadata.annotations ?? {};

/** own, publish and watch with `peers` in the API; resolves after the first reset. */
async function start(peers = [2, 3]): Promise<void> {
  api.put(bare('10.244.1.0/24'));
  for (const peer of peers) api.put(fakeNode(peer));
  await manager.own(CONFIG, stop.signal);
  await manager.publish(ATTRIBUTES, stop.signal);
  watching = manager.watch((event) => void events.push(event), stop.signal);
  await until(() => events.length > 0 && api.watchers === 1, 'first reset and watch');
}

/** The leases a consumer has after all events. */
function names(): string[] {
  const state = new Set<string>();
  for (const event of events) {
    if (event.type === 'reset') {
      state.clear();
      for (const name of event.leases.keys()) state.add(name);
    } else if (event.type === 'put') state.add(event.lease.name);
    else state.delete(event.name);
  }
  return [...state].sort();
}

test('own waits for the Node, then for its podCIDR, and names the controller flag', async () => {
  const done = manager.own(CONFIG, stop.signal);
  await until(() => logged('waiting for the Node object').length === 1, 'log line of the missing Node');
  api.put(bare());
  await until(() => logged('waiting for a subnet').length === 1, 'log line of the missing podCIDR');
  expect(logged('waiting for a subnet')[0]).toContain(
    '--allocate-node-cidrs=true --cluster-cidr=10.244.0.0/16',
  );
  expect(logged('waiting for a subnet')[0]).toContain('pod cidr not assigned');
  api.put({
    metadata: {
      name: 'n1',
      annotations: {
        [`${P}backend-data`]: '{"VNI":1}',
        [`${P}backend-type`]: 'vxlan',
        [`${P}node-public-ip`]: '203.0.113.7',
      },
    },
    spec: { podCIDRs: ['10.244.1.0/24'] },
  });
  expect(await done).toEqual({
    name: 'n1',
    subnets: { ipv4: Cidr.parse('10.244.1.0/24') },
    backendType: 'vxlan',
    backendData: { ipv4: '{"VNI":1}' },
    publicIp: { ipv4: Ip.parse('203.0.113.7') },
  });
  expect(manager.lastContact()).toBeNumber();
});

test('own waits while the subnet is outside of Network, and while a family is missing', async () => {
  api.put(bare('10.99.1.0/24'));
  const done = manager.own(DUAL, stop.signal);
  await until(() => logged('10.99.1.0/24 is not inside the network').length === 1, 'log line');
  api.put(bare('10.244.1.0/24'));
  await until(() => logged('no ipv6 pod cidr assigned').length === 1, 'log line of the family');
  api.put({ metadata: { name: 'n1' }, spec: { podCIDRs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] } });
  expect(String((await done).subnets.ipv6)).toBe('2001:cafe:42:1::/64');
});

test('own survives 401, 403, 5xx and says which; abort ends it', async () => {
  const codes = [401, 403, 500];
  api.intercept = () => status(codes.shift() ?? 503, 'Reason', 'words');
  const done = manager.own(CONFIG, stop.signal).catch((error: unknown) => error);
  await until(() => logged('503').length > 0, 'four failures');
  for (const code of [401, 403, 500]) expect(logged(` ${code} `).length).toBe(1);
  stop.abort(new Error('enough'));
  expect(String(await done)).toContain('enough');
});

test('publish writes nodes/<name>/status, as the original does', async () => {
  api.put(bare('10.244.1.0/24'));
  await manager.own(CONFIG, stop.signal);
  await manager.publish(ATTRIBUTES, stop.signal);
  expect(api.patches.map(({ url }) => url.pathname)).toEqual(['/api/v1/nodes/n1/status']);
  expect(JSON.parse(api.patches[0]?.body ?? '')).toEqual({
    metadata: {
      annotations: {
        [`${P}backend-data`]: '{"VNI":1,"VtepMAC":"12:c6:65:89:b4:e3"}',
        [`${P}backend-type`]: 'vxlan',
        [`${P}kube-subnet-manager`]: 'true',
        [`${P}public-ip`]: '192.168.50.11',
      },
    },
  });
  await manager.publish(ATTRIBUTES, stop.signal);
  expect(api.patches.length).toBe(1);
});

test('publish writes only what differs, and the IPv6 keys with IPv6', async () => {
  api.put(fakeNode(1));
  await manager.own(CONFIG, stop.signal);
  const publicIp = { ...ATTRIBUTES.publicIp, ipv6: Ip.parse('fd50::11') };
  await manager.publish(
    { ...ATTRIBUTES, publicIp, backendData: { ipv4: 'null', ipv6: 'null' } },
    stop.signal,
  );
  expect(JSON.parse(api.patches[0]?.body ?? '')).toEqual({
    metadata: {
      annotations: {
        [`${P}backend-data`]: 'null',
        [`${P}backend-v6-data`]: 'null',
        [`${P}public-ipv6`]: 'fd50::11',
      },
    },
  });
});

test('public-ip-overwrite replaces what is published; a bad one is ignored', async () => {
  api.put(fakeNode(1, { [`${P}public-ip-overwrite`]: '203.0.113.9' }));
  await manager.own(CONFIG, stop.signal);
  await manager.publish(ATTRIBUTES, stop.signal);
  expect(own()[`${P}public-ip`]).toBe('203.0.113.9');
  api.put(fakeNode(1, { [`${P}public-ip-overwrite`]: '; rm -rf /' }));
  await manager.publish(ATTRIBUTES, stop.signal);
  expect(own()[`${P}public-ip`]).toBe('192.168.50.11');
  expect(logged('not a unicast address').length).toBe(1);
});

test('publish tries again after 429 with Retry-After, no sooner', async () => {
  api.put(bare('10.244.1.0/24'));
  await manager.own(CONFIG, stop.signal);
  let refused = 0;
  let at = 0;
  api.intercept = ({ method }) => {
    if (method !== 'PATCH' || refused > 0) return undefined;
    refused += 1;
    at = fastClock.monotonic();
    return status(429, 'TooManyRequests', 'slow down', { 'retry-after': '9' });
  };
  await manager.publish(ATTRIBUTES, stop.signal);
  expect(fastClock.monotonic() - at).toBeGreaterThanOrEqual(9000);
  expect(own()[`${P}public-ip`]).toBe('192.168.50.11');
});

test('announceReady sets the condition of the recordings', async () => {
  api.put(bare('10.244.1.0/24'));
  await manager.announceReady(stop.signal);
  const conditions = api.nodes.get('n1')?.status?.conditions;
  const now = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(conditions).toEqual([
    {
      type: 'NetworkUnavailable',
      status: 'False',
      reason: 'FlannelIsUp',
      message: 'Flannel is running on this node',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    },
  ]);
});

test('watch: reset, put, delete; own Node and changes of no interest are not told', async () => {
  await start();
  expect(names()).toEqual(['n2', 'n3']);
  api.put(fakeNode(4));
  api.put(fakeNode(2, { other: 'heartbeat' }));
  api.put({ ...fakeNode(3), spec: { podCIDR: '10.244.9.0/24' } });
  api.delete('n2');
  await until(() => events.length === 4, 'put, put, delete');
  expect(events.map(({ type }) => type)).toEqual(['reset', 'put', 'put', 'delete']);
  expect(names()).toEqual(['n3', 'n4']);
  expect(
    api.requests.some(({ method, url }) => method !== 'GET' && url.pathname !== '/api/v1/nodes/n1/status'),
  ).toBe(false);
});

test('a Node that loses its annotations is a peer no more', async () => {
  await start();
  api.put({ metadata: { name: 'n2', annotations: null }, spec: { podCIDR: '10.244.2.0/24' } });
  await until(() => events.length === 2, 'delete');
  expect(names()).toEqual(['n3']);
});

test('a hostile peer is skipped with one line; the others work', async () => {
  await start();
  for (let i = 0; i < 5; i += 1) api.put(fakeNode(4, { [`${P}public-ip`]: '127.0.0.1', other: String(i) }));
  api.put(fakeNode(5));
  await until(() => names().includes('n5'), 'the good peer');
  expect(logged('peer skipped').length).toBe(1);
  expect(names()).toEqual(['n2', 'n3', 'n5']);
});

test('a peer that claims our subnet is skipped; one with our address is told', async () => {
  await start([2]);
  api.put({ ...fakeNode(3), spec: { podCIDR: '10.244.1.128/25' } });
  api.put(fakeNode(4, { [`${P}public-ip`]: '192.168.50.11' }));
  await until(() => names().includes('n4'), 'the peer with our address');
  expect(names()).toEqual(['n2', 'n4']);
  expect(logged('overlaps ours').length).toBe(1);
  expect(logged('publishes our own public IP').length).toBe(1);
});

test.each(['close', 'reset'] as const)('a watch that ends (%s) goes on where it stopped', async (how) => {
  await start();
  api.bookmark();
  await Bun.sleep(10);
  api.cut(how);
  api.put(fakeNode(4));
  await until(() => names().includes('n4'), 'n4 after the cut');
  expect(events.filter(({ type }) => type === 'reset').length).toBe(1);
});

test('a watch cut in the middle of an event loses nothing', async () => {
  await start();
  api.send('{"type":"ADDED","object":{"metadata":{"na');
  api.cut();
  api.put(fakeNode(4));
  await until(() => names().includes('n4'), 'n4 after the cut');
});

test('410 at the start of a watch, and as an ERROR event: lists again', async () => {
  await start();
  api.oldest = 1000;
  api.delete('n2');
  api.put(fakeNode(4));
  api.cut();
  await until(() => events.at(-1)?.type === 'delete' || names().length === 2, 'events');
  api.intercept = ({ url }) => {
    if (url.searchParams.get('watch') !== 'true') api.oldest = 0;
    return undefined;
  };
  await until(
    () => events.filter(({ type }) => type === 'reset').length >= 2 && api.watchers === 1,
    'second list',
  );
  expect(names()).toEqual(['n3', 'n4']);
  const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
  api.send(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  const resets = events.filter(({ type }) => type === 'reset').length;
  await until(() => events.filter(({ type }) => type === 'reset').length > resets, 'third list');
  const lists = api.requests.filter(
    ({ url }) => url.pathname === '/api/v1/nodes' && !url.searchParams.has('watch'),
  );
  expect(lists.map(({ url }) => url.searchParams.get('resourceVersion')).slice(0, 2)).toEqual(['0', null]);
});

test('garbage in an event: the whole truth is fetched again', async () => {
  await start();
  api.send('{"type":"ADDED","object":{]}\n');
  await until(() => events.filter(({ type }) => type === 'reset').length === 2, 'second list');
  expect(logged('cannot be followed').length).toBe(1);
  expect(names()).toEqual(['n2', 'n3']);
});

test('5xx and 429 on the watch: waits as asked, goes on, says when it is over', async () => {
  await start();
  let refusals = 3;
  api.intercept = ({ url }) => {
    if (url.searchParams.get('watch') !== 'true' || refusals === 0) return undefined;
    refusals -= 1;
    return refusals === 1
      ? status(429, 'TooManyRequests', 'slow', { 'retry-after': '3' })
      : status(503, 'Unavailable', 'down');
  };
  api.cut();
  api.put(fakeNode(4));
  await until(() => names().includes('n4'), 'n4');
  expect(logged('answers again').length).toBe(1);
});

test('the API server gone and back: no busy loop', async () => {
  await start();
  const before = api.requests.length;
  api.intercept = () => status(500, 'InternalError', 'broken');
  api.cut();
  await Bun.sleep(100);
  // Five seconds of the fast clock: delays of 0.25 s and more, doubling.
  expect(api.requests.length - before).toBeLessThan(20);
  api.intercept = () => undefined;
  api.put(fakeNode(4));
  await until(() => names().includes('n4'), 'n4');
});

test('wiped and edited annotations are set again', async () => {
  await start();
  const wanted = own();
  api.put({ metadata: { name: 'n1', annotations: null }, spec: { podCIDR: '10.244.1.0/24' } });
  await until(() => own()[`${P}public-ip`] === '192.168.50.11', 'annotations back');
  expect(own()).toEqual(wanted);
  api.put({
    metadata: { name: 'n1', annotations: { ...wanted, [`${P}backend-data`]: 'evil' } },
    spec: { podCIDR: '10.244.1.0/24' },
  });
  await until(() => own()[`${P}backend-data`] === wanted[`${P}backend-data`], 'backend-data back');
  await until(() => logged('somebody changed the annotations').length === 2, 'both log lines');
});

test('two agents of one name do not fight hot', async () => {
  await start();
  const fight = setInterval(() => {
    api.put({
      metadata: { name: 'n1', annotations: { [`${P}backend-data`]: 'other' } },
      spec: { podCIDR: '10.244.1.0/24' },
    });
  }, 5);
  const before = api.patches.length;
  await Bun.sleep(300);
  await until(() => api.patches.length - before >= 2, 'two repairs');
  clearInterval(fight);
  // At least fifteen seconds of the fast clock, and sixty changes.
  expect(api.patches.length - before).toBeLessThanOrEqual(12);
});

test('own Node made anew: condition again, a changed subnet is reported', async () => {
  await start();
  await manager.announceReady(stop.signal);
  api.delete('n1');
  api.put({ metadata: { name: 'n1', uid: 'second' }, spec: { podCIDR: '10.244.77.0/24' } });
  await until(() => api.nodes.get('n1')?.status?.conditions?.length === 1, 'condition');
  await until(() => own()[`${P}kube-subnet-manager`] === 'true', 'annotations');
  expect(changes.map(({ subnets }) => String(subnets.ipv4))).toEqual(['10.244.77.0/24']);
  expect(logged('the subnet of this node has changed').length).toBe(1);
});

test('aborting ends the watch quietly and its request', async () => {
  await start();
  stop.abort(new Error('bye'));
  await watching;
  await until(() => api.watchers === 0, 'the watch closed');
});

test('pages of many peers', async () => {
  api.intercept = ({ url }) => {
    if (url.searchParams.get('limit') === '250') url.searchParams.set('limit', '2');
    return undefined;
  };
  await start([2, 3, 4, 5, 6]);
  expect(names()).toEqual(['n2', 'n3', 'n4', 'n5', 'n6']);
  expect(api.requests.filter(({ url }) => url.searchParams.has('continue')).length).toBe(2);
});
