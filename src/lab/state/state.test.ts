import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cureOf } from '#base/errors.ts';
import { appendProgress, parseProgress } from '../serve/progress.ts';
import { planNode, vtepAddress } from './address-plan.ts';
import { labPaths } from './paths.ts';
import { readState, writeState, type LabState } from './state.ts';

const folder = mkdtempSync(join(tmpdir(), 'lab-state-'));
afterAll(() => rmSync(folder, { recursive: true }));

const STATE: LabState = {
  version: 1,
  options: { name: 'lab', nodes: 1, pods: 1, backend: 'vxlan', manager: 'kube', traffic: 'auto' },
  traffic: 'iptables',
  phase: 'starting',
  pid: 7,
  storeUrl: 'http://192.168.50.1:6443',
  worldPid: 8,
  nodes: [],
  pods: [],
};

test('state is read back as written; no file is no lab', () => {
  const path = join(folder, 'state.json');
  expect(readState(path)).toBeUndefined();
  writeState(path, STATE);
  expect(readState(path)).toEqual(STATE);
});

test('a damaged state says what to do', () => {
  const path = join(folder, 'damaged.json');
  writeFileSync(path, '{"version":2}');
  expect(() => readState(path)).toThrow('is not the state of a lab of this version');
  writeFileSync(path, '{"ver');
  try {
    readState(path);
  } catch (error) {
    expect(cureOf(error)).toContain('lab down');
  }
});

test('paths follow the name and the root', () => {
  expect(labPaths('b', {}).state).toBe('/run/flannel-lab/b/state.json');
  expect(labPaths('b', { FLANNEL_LAB_ROOT: '/tmp/x' }).agentLog('n1')).toBe('/tmp/x/b/flanneld-n1.log');
});

test('the address plan', () => {
  const plan = planNode(12, 2);
  expect(plan).toMatchObject({
    name: 'n12',
    ip: '192.168.50.22',
    podCidr: '10.244.12.0/24',
    pods: ['n12-a', 'n12-b'],
  });
  expect(plan.mac.toString()).toBe('02:00:c0:a8:32:16');
  expect(vtepAddress(plan.podCidr)).toBe('10.244.12.0');
});

test('progress is read in whole lines, each once', () => {
  const path = join(folder, 'progress');
  appendProgress(path, { type: 'step', text: 'a → b', ms: 1 });
  const first = new Uint8Array(Buffer.from('{"type":"step","text":"a → b","ms":1}\n{"type":"re'));
  const { events, next } = parseProgress(first, 0);
  expect(events).toEqual([{ type: 'step', text: 'a → b', ms: 1 }]);
  expect(parseProgress(first, next)).toEqual({ events: [], next });
});
