import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { systemClock } from '#base/clock.ts';
import { createLogger } from '#base/log.ts';
import { until } from '#clients/k8s/fake-api.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { parseNetworkConfig } from '../config.ts';
import type { Lease } from '../lease.ts';
import type { LeaseEvent, OwnAttributes, OwnRecord, SubnetManager } from '../manager.ts';
import { RememberedManager } from './manager.ts';
import { Recall } from './recall.ts';
import { writeSnapshot } from './snapshot-file.ts';

const CONFIG = parseNetworkConfig('{"Network":"10.244.0.0/16"}', { source: 'net-conf.json' }).config;
const OWNER = { source: 'kube p/', node: 'n1', networks: CONFIG.networks };
const PATIENCE = 150;

function own(subnet: string): OwnRecord {
  const subnets = { ipv4: Cidr.parse(subnet) };
  return { name: 'n1', subnets, backendType: 'vxlan', backendData: { ipv4: '{"old":1}' }, publicIp: {} };
}

function lease(number: number, ip = `192.0.2.${number}`): Lease {
  const ipv4 = { subnet: Cidr.parse(`10.244.${number}.0/24`), publicIp: Ip.parse(ip), backendData: 'null' };
  return { name: `n${number}`, backendType: 'vxlan', families: { ipv4 } };
}

const ATTRIBUTES: OwnAttributes = {
  backendType: 'vxlan',
  publicIp: { ipv4: Ip.parse('192.0.2.1') },
  backendData: { ipv4: '{"new":1}' },
};

/** A store that answers when the test says so. */
class Store implements SubnetManager {
  readonly kind = 'kube';
  readonly owned = Promise.withResolvers<OwnRecord>();
  readonly published = Promise.withResolvers<void>();
  readonly calls: string[] = [];
  tell: (event: LeaseEvent) => void = () => {};
  heard = false;
  contact: number | undefined;
  onOwnChange: (record: OwnRecord) => void = () => {};

  own(): Promise<OwnRecord> {
    this.calls.push('own');
    return this.owned.promise;
  }

  publish(attributes: OwnAttributes): Promise<void> {
    this.calls.push(`publish ${attributes.backendData.ipv4}`);
    return this.published.promise;
  }

  async watch(onEvent: (event: LeaseEvent) => void, signal: AbortSignal): Promise<void> {
    this.calls.push('watch');
    this.tell = onEvent;
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => resolve());
    await promise;
  }

  announceReady = () => Promise.resolve();
  leftOut = () => new Map();
  trouble = () => 'refused';
  /** Heard of all the time, or when the test said. */
  lastContact = () => (this.heard ? systemClock.monotonic() : this.contact);
}

let dir: string;
let path: string;
let lines: string[];
let store: Store;
let stop: AbortController;
let events: LeaseEvent[];
let changes: string[];
let manager: RememberedManager;

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/remembered-`);
  path = `${dir}/last-known`;
  lines = [];
  events = [];
  changes = [];
  store = new Store();
  stop = new AbortController();
  const write = (line: string) => void lines.push(line.slice(25));
  const log = createLogger({ level: 'info', format: 'text', now: () => new Date(0), write });
  const clock = systemClock;
  manager = new RememberedManager({
    path,
    owner: OWNER,
    recall: new Recall({ path, owner: OWNER, clock, log, patience: PATIENCE }),
    clock,
    log,
    interval: 100,
    onOwnChange: (record) => void changes.push(String(record.subnets.ipv4)),
    open: (onOwnChange) => {
      store.onOwnChange = onOwnChange;
      return store;
    },
  });
});

afterEach(() => rmSync(dir, { recursive: true }));

const remember = (...leases: readonly Lease[]) =>
  writeSnapshot(path, OWNER, {
    own: own('10.244.1.0/24'),
    leases: new Map(leases.map((each) => [each.name, each])),
  });

function watch(): Promise<void> {
  return manager.watch((event) => void events.push(event), stop.signal);
}

/** What a consumer has been told, in short. */
const told = () =>
  events.map((event) => {
    if (event.type === 'reset') return `reset ${[...event.leases.keys()].join()}`;
    return event.type === 'put' ? `put ${event.lease.name}` : `delete ${event.name}`;
  });

const reset = (...leases: readonly Lease[]) =>
  store.tell({ type: 'reset', leases: new Map(leases.map((each) => [each.name, each])) });

test('a store that answers: nothing is read, everything is passed on and written down', async () => {
  store.owned.resolve(own('10.244.1.0/24'));
  store.published.resolve();
  expect(await manager.own(CONFIG, stop.signal)).toEqual(own('10.244.1.0/24'));
  await manager.publish(ATTRIBUTES, stop.signal);
  const watching = watch();
  await Bun.sleep(5);
  reset(lease(2), lease(3));
  store.tell({ type: 'put', lease: lease(4) });
  store.tell({ type: 'delete', name: 'n2' });
  expect(told()).toEqual(['reset n2,n3', 'put n4', 'delete n2']);
  expect(manager.fromMemory()).toBe(false);
  expect(existsSync(path)).toBe(false);
  await until(() => existsSync(path), 'the record');
  const text = readFileSync(path, 'utf8');
  for (const words of ['"name":"n3"', '"name":"n4"', '{\\"new\\":1}']) expect(text).toContain(words);
  expect(text).not.toContain('"name":"n2"');
  store.tell({ type: 'delete', name: 'n3' });
  stop.abort(new Error('stop'));
  await watching;
  expect(readFileSync(path, 'utf8')).not.toContain('"name":"n3"');
  expect(lines).toEqual([]);
});

test('a silent store: own, publish and peers from the record, in one patience altogether; then the truth', async () => {
  await remember(lease(2), lease(3), lease(4));
  expect(String((await manager.own(CONFIG, stop.signal)).subnets.ipv4)).toBe('10.244.1.0/24');
  // A timer before the one that would wait again.
  const another = Bun.sleep(PATIENCE / 2).then(() => 'waits again');
  const published = manager.publish(ATTRIBUTES, stop.signal).then(() => 'at once');
  expect(await Promise.race([published, another])).toBe('at once');
  const watching = watch();
  await Bun.sleep(1);
  expect(told()).toEqual(['reset n2,n3,n4']);
  expect([manager.fromMemory(), manager.trouble()]).toEqual([true, 'refused']);
  // In the same order as ever, each when the one before has its answer.
  expect(store.calls).toEqual(['own']);
  store.owned.resolve(own('10.244.1.0/24'));
  await until(() => store.calls.length > 1, 'publish');
  expect(store.calls).toEqual(['own', 'publish {"new":1}']);
  store.published.resolve();
  await until(() => store.calls.length > 2, 'watch');
  expect(store.calls.at(-1)).toBe('watch');
  expect(manager.fromMemory()).toBe(true);
  reset(lease(2), lease(3, '192.0.2.99'), lease(5), lease(6));
  expect(manager.fromMemory()).toBe(false);
  expect(told().slice(1)).toEqual(['reset n2,n3,n5,n6']);
  expect(lines.at(-1)).toContain('compared with it added=2 changed=1 removed=1');
  expect(changes).toEqual([]);
  stop.abort(new Error('stop'));
  await watching;
});

test('another subnet by now: told to start over, and remembered with the peers that were known', async () => {
  await remember(lease(2));
  await manager.own(CONFIG, stop.signal);
  store.owned.resolve(own('10.244.8.0/24'));
  const written = () => readFileSync(path, 'utf8').includes('"subnets":{"ipv4":"10.244.8.0/24"}');
  await until(written, 'the new subnet in the record');
  expect(changes).toEqual(['10.244.8.0/24']);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain('"name":"n2"');
});

test('another subnet before the first list: a record with peers is not replaced by one without', async () => {
  await remember(lease(2));
  store.owned.resolve(own('10.244.1.0/24'));
  store.published.resolve();
  await manager.own(CONFIG, stop.signal);
  await manager.publish(ATTRIBUTES, stop.signal);
  const watching = watch();
  store.onOwnChange(own('10.244.8.0/24'));
  stop.abort(new Error('stop'));
  await watching;
  expect(changes).toEqual(['10.244.8.0/24']);
  expect(readFileSync(path, 'utf8')).toContain('"name":"n2"');
});

test('a store that says this node is none is believed', async () => {
  await remember(lease(2));
  store.contact = 0;
  const done = Promise.race([manager.own(CONFIG, stop.signal), Bun.sleep(PATIENCE * 4).then(() => 'waits')]);
  expect(await done).toBe('waits');
});

test('a list on its way is waited for longer, but not for ever', async () => {
  await remember(lease(2));
  store.owned.resolve(own('10.244.1.0/24'));
  store.published.resolve();
  await manager.own(CONFIG, stop.signal);
  await manager.publish(ATTRIBUTES, stop.signal);
  store.heard = true;
  const watching = watch();
  await Bun.sleep(PATIENCE * 2.5);
  expect(told()).toEqual([]);
  await until(() => told().length > 0, 'the peers of the record');
  expect(told()).toEqual(['reset n2']);
  stop.abort(new Error('stop'));
  await watching;
});

test('without a record it waits, as it would without this', async () => {
  const done = manager.own(CONFIG, stop.signal);
  await until(() => lines.length > 0, 'a line in the log');
  expect(lines).toEqual([expect.stringContaining('there is no last known state: waiting')]);
  store.owned.resolve(own('10.244.1.0/24'));
  await done;
  const published = manager.publish(ATTRIBUTES, stop.signal);
  await Bun.sleep(PATIENCE * 2);
  expect(lines.length).toBe(1);
  store.published.resolve();
  await published;
});

test('stopped while it waits', async () => {
  const done = manager.own(CONFIG, stop.signal).catch((error: unknown) => String(error));
  stop.abort(new Error('stop'));
  store.owned.reject(stop.signal.reason);
  expect(await done).toContain('stop');
});
