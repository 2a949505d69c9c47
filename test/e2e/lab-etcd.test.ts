import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { additions, lab, machine, processesOf, stateOf, type Machine } from './lab-program.ts';
import { nameOfRun } from '../support/netns.ts';

setDefaultTimeout(300_000);

const NAME = nameOfRun('etcd');
let before: Machine;

beforeAll(() => {
  lab('help');
  before = machine();
  const { code, out, err } = lab('up', '--name', NAME, '--manager', 'etcd', '--pods', '1');
  if (code !== 0) throw new Error(`lab up ended with ${code}: ${out}${err}`);
  expect(out).toContain('etcd at http://192.168.50.1:2379 inside the lab');
});

afterAll(() => {
  lab('down', '--name', NAME);
});

test('a real etcd runs, no agent talks to a Kubernetes API, and every node has a subnet of its own choice', () => {
  const state = stateOf(NAME);
  const subnets = new Set(state.nodes.map(({ podCidr }) => podCidr));
  expect(subnets.size).toBe(3);
  for (const subnet of subnets) expect(subnet).toMatch(/^10\.244\.\d+\.0\/24$/);
  const commands = processesOf(NAME).map((pid) =>
    Bun.spawnSync(['cat', `/proc/${pid}/cmdline`]).stdout.toString(),
  );
  expect(commands.filter((command) => command.startsWith('etcd\0'))).toHaveLength(1);
  expect(commands.filter((command) => command.includes('kube-subnet-mgr'))).toEqual([]);
});

test('verify holds', () => {
  const { code, out } = lab('verify', '--name', NAME);
  expect(out).toContain('checks held');
  expect([code, out]).toEqual([0, out]);
});

test('a walk over the overlay arrives', () => {
  const { code, out } = lab('walk', '--name', NAME, 'n1-a', 'n2-a');
  expect(out).toContain('VXLAN VNI 1');
  expect(code).toBe(0);
});

for (const fault of ['link', 'agent', 'api']) {
  test(`break ${fault}: all is well again`, () => {
    const { code, out, err } = lab('break', fault, '--name', NAME);
    expect([code, out + err]).toEqual([0, out]);
  });
}

test('down leaves nothing', () => {
  expect(lab('down', '--name', NAME).code).toBe(0);
  expect(processesOf(NAME)).toEqual([]);
  expect(additions(before, { ...machine(), run: before.run })).toEqual([]);
});
