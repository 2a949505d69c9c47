import { expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { statusOf, type StatusParts } from './status.ts';

const FRESH: StatusParts = {
  readiness: { ready: false, reason: 'waiting' },
  startedAt: 0,
  facts: undefined,
  peers: undefined,
  pass: undefined,
  repairs: [],
  rules: undefined,
  store: { fromMemory: false, trouble: undefined },
};

/** As a reader of the file sees it. */
const read = (parts: Partial<StatusParts>): unknown =>
  JSON.parse(JSON.stringify(statusOf({ ...FRESH, ...parts })));

const FACTS = {
  own: { name: 'n1', subnets: { ipv4: Cidr.parse('10.244.1.0/24') } },
  backendType: 'vxlan',
  publicIps: { ipv4: Ip.parse('192.168.50.11') },
  external: { name: 'eth0', mtu: 1500 },
  mtu: 1450,
  rulesMode: 'iptables',
};

test('what is not known yet is missing', () => {
  expect(read({})).toEqual({
    schema: 1,
    ready: false,
    reason: 'waiting',
    pid: process.pid,
    version: expect.any(String),
    startedAt: '1970-01-01T00:00:00.000Z',
    store: { fromMemory: false },
    repairs: [],
  });
});

test('the rest as text, numbers and times', () => {
  const status = read({
    readiness: { ready: false, serving: true, reason: 'no word' },
    facts: FACTS,
    store: { fromMemory: true, trouble: 'refused' },
    rules: { error: 'no iptables' },
    peers: { leases: 2, wanted: 3, programmed: 2, leftOut: new Map([['conflict', 1]]), conflicts: 3 },
    pass: { at: 1000, ms: 2.345, report: { foundCount: 1, errors: [] } },
    repairs: [{ at: 2000, counts: { route: 2 }, what: 'two routes' }],
  });
  expect(status).toMatchObject({
    serving: true,
    node: 'n1',
    lease: { backend: 'vxlan', subnets: { ipv4: '10.244.1.0/24' }, publicIps: { ipv4: '192.168.50.11' } },
    external: { name: 'eth0', mtu: 1500 },
    mtu: 1450,
    rules: { mode: 'iptables', state: 'failed', error: 'no iptables' },
    store: { fromMemory: true, trouble: 'refused' },
    peers: { wanted: 3, programmed: 2, leftOut: 1, reasons: { conflict: 1 }, conflicts: 3 },
    lastPass: { at: '1970-01-01T00:00:01.000Z', ms: 2.3, found: 1, errors: 0 },
    repairs: [{ at: '1970-01-01T00:00:02.000Z', counts: { route: 2 }, what: 'two routes' }],
  });
  expect(read({ facts: FACTS })).toMatchObject({ rules: { state: 'unknown' } });
  expect(read({ facts: FACTS, rules: { error: undefined } })).toMatchObject({ rules: { state: 'ok' } });
});
