import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { FAULTS } from '#lab/command/options.ts';
import {
  additions,
  allNamespaces,
  lab,
  machine,
  namespaceOf,
  namespacesOf,
  processesOf,
  stateOf,
  type Machine,
} from './lab-program.ts';
import { eventually } from '../support/eventually.ts';
import { nameOfRun } from '../support/netns.ts';

setDefaultTimeout(300_000);

const NAME = nameOfRun('e2e');
const OTHER = `${NAME}-b`;
let before: Machine;

beforeAll(() => {
  // The first call may install and build; what that writes is not the lab's.
  lab('help');
  before = machine();
  const { code, out, err } = lab('up', '--name', NAME);
  if (code !== 0) throw new Error(`lab up ended with ${code}: ${out}${err}`);
});

afterAll(() => {
  for (const name of [NAME, OTHER]) lab('down', '--name', name);
});

/** Namespaces of a lab without those that the machine's own processes share. */
function ownNamespaces(name: string): Set<string> {
  const shared = new Set(['net', 'mnt'].map((kind) => namespaceOf('self', kind)));
  return new Set([...namespacesOf(name)].filter((namespace) => !shared.has(namespace)));
}

async function expectGone(name: string, namespaces: ReadonlySet<string>): Promise<void> {
  expect(processesOf(name)).toEqual([]);
  // The last process of a namespace may be killed and not yet be buried.
  await eventually(() => {
    const alive = allNamespaces();
    expect([...namespaces].filter((namespace) => alive.has(namespace))).toEqual([]);
  });
  expect(existsSync(`/run/flannel-lab/${name}`)).toBe(false);
  // The root folder stays as long as another lab lives in it.
  expect(additions(before, { ...machine(), run: before.run })).toEqual([]);
}

describe('a running lab', () => {
  test('is refused a second time, and stays', () => {
    const { pid } = stateOf(NAME);
    const { code, err } = lab('up', '--name', NAME);
    expect(code).toBe(1);
    expect(err).toContain(`lab "${NAME}" is already running (process ${pid})`);
    expect(stateOf(NAME).pid).toBe(pid);
  });

  test('status shows nodes, VTEPs, peers and pods', () => {
    const { code, out } = lab('status', '--name', NAME);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^n1 +192\.168\.50\.11 +10\.244\.1\.1\/24 +flannel\.1 +[0-9a-f:]{17} +1450 +2 +\d+ +0$/m,
    );
    expect(out).toMatch(/^n3-b +10\.244\.3\.3 +n3 +[0-9a-f]{12}$/m);
  });

  test('verify holds, with the addresses that were seen', () => {
    const { code, out } = lab('verify', '--name', NAME);
    expect(out).toContain('10 of 10 checks held');
    expect(out).toMatch(
      /^ok +requirement 1, behaviour 2 +pod ↔ pod across nodes +12 of 12: n2-a saw n1-a as 10\.244\.1\.2 \(no NAT\)$/m,
    );
    expect(out).toMatch(
      /^ok +the way out +pod → outside world +12 of 12: world saw n1-a as 192\.168\.50\.11/m,
    );
    expect(out).not.toContain('\u001B');
    expect(code).toBe(0);
  });

  test('verify fails and names the way when a route is gone and nobody repairs it', () => {
    const agent = stateOf(NAME).nodes.find(({ name }) => name === 'n1')?.agentPid ?? 0;
    process.kill(agent, 'SIGSTOP');
    try {
      expect(lab('exec', '--name', NAME, 'n1', '--', 'ip', 'route', 'delete', '10.244.2.0/24').code).toBe(0);
      const { code, out } = lab('verify', '--name', NAME);
      expect(code).toBe(1);
      expect(out).toMatch(/^FAIL +requirement 1, behaviour 2 +pod ↔ pod across nodes/m);
      expect(out).toContain('n1-a → n2-a (tcp 10.244.2.2:8080)');
      expect(out).toMatch(/^ok +requirement 1 +pod ↔ pod on one node/m);
    } finally {
      process.kill(agent, 'SIGCONT');
    }
    // The agent finds the notification in its queue.
    const deadline = Date.now() + 10_000;
    while (Date.now() < deadline && lab('verify', '--name', NAME).code !== 0);
    expect(lab('verify', '--name', NAME).code).toBe(0);
  });

  test('walk follows a packet of each kind', () => {
    const { code, out } = lab('walk', '--name', NAME);
    expect(code).toBe(0);
    const [bridged = '', overlay = '', world = ''] = out.split('\n\n');
    expect(bridged).toStartWith('n1-a → n1-b: the same node');
    expect(bridged).not.toContain('VXLAN');
    expect(overlay).toMatch(/n1 eth0 out +outer 192\.168\.50\.11:\d+ → 192\.168\.50\.12:8472 UDP TTL 64/);
    expect(overlay).toMatch(/VXLAN VNI 1, inner 10\.244\.1\.2:\d+ → 10\.244\.2\.2:8080 UDP TTL 63/);
    expect(overlay).toContain('node route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
    expect(overlay).toMatch(/FDB of flannel\.1: [0-9a-f:]{17} is behind 192\.168\.50\.12/);
    expect(overlay).toMatch(/12 {2}n2-a eth0 in +10\.244\.1\.2:\d+ → 10\.244\.2\.2:8080 UDP TTL 62/);
    expect(world).toMatch(/masqueraded, 10\.244\.1\.2:\d+ became 192\.168\.50\.11:\d+/);
    expect(world).toMatch(/world eth0 in +192\.168\.50\.11:\d+ → 203\.0\.113\.10:8080/);
    expect(world).toMatch(/n1-a eth0 in +203\.0\.113\.10:8080 → 10\.244\.1\.2:\d+/);
  });

  test("walk reaches host networks, a node's own and another's", () => {
    expect(lab('walk', '--name', NAME, 'n1-a', 'n1').code).toBe(0);
    expect(lab('walk', '--name', NAME, 'n1-a', 'n3').code).toBe(0);
    expect(lab('walk', '--name', NAME, 'n1', 'n1-a').err).toContain('n1 is not a pod');
  });

  test('exec runs in the right namespaces and hands on the exit code', () => {
    const address = lab(
      'exec',
      '--name',
      NAME,
      'n2-b',
      '--',
      'ip',
      '-4',
      '-brief',
      'address',
      'show',
      'dev',
      'eth0',
    );
    expect(address.out).toContain('10.244.2.3/24');
    expect(lab('exec', '--name', NAME, 'n2', '--', 'ls', '/etc/cni/net.d').out).toBe('10-flannel.conflist\n');
    expect(lab('exec', '--name', NAME, 'n1', '--', 'false').code).toBe(1);
    const wrong = lab('exec', '--name', NAME, 'n1-c', '--', 'true');
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('there is no pod or node "n1-c"');
  });

  test('the machine itself is as it was', () => {
    expect(additions(before, { ...machine(), run: before.run })).toEqual([]);
  });
});

describe('break', () => {
  for (const fault of FAULTS) {
    test(`${fault} heals`, () => {
      const { code, out } = lab('break', fault, '--name', NAME, '--node', 'n2');
      expect(out).toContain(`break ${fault}`);
      expect(out).toContain('verify: 10 of 10 checks held');
      // Neither a dead agent nor a dead API costs a packet.
      if (fault === 'agent' || fault === 'api') expect(out).toContain('none lost');
      expect(code).toBe(0);
    });
  }
});

describe('two labs', () => {
  test('live side by side and die apart', async () => {
    const up = lab('up', '--name', OTHER, '--nodes', '2', '--pods', '1', '--nftables');
    expect(up.code).toBe(0);
    const namespaces = ownNamespaces(OTHER);
    expect(namespaces.size).toBeGreaterThan(5);
    expect([...namespaces].filter((each) => ownNamespaces(NAME).has(each))).toEqual([]);
    expect(lab('verify', '--name', OTHER).code).toBe(0);
    expect(lab('break', 'rules', '--name', OTHER).code).toBe(0);
    expect(lab('down', '--name', OTHER).code).toBe(0);
    await expectGone(OTHER, namespaces);
    expect(lab('verify', '--name', NAME).code).toBe(0);
  });
});

describe('other backends', () => {
  for (const backend of ['host-gw', 'vxlan-direct']) {
    test(`${backend}: without wrapping, by routes that come back`, () => {
      const up = lab(
        'up',
        '--name',
        OTHER,
        '--nodes',
        '2',
        '--pods',
        '1',
        '--nftables',
        '--backend',
        backend,
      );
      expect(up.code).toBe(0);
      const verified = lab('verify', '--name', OTHER);
      expect(verified.out).toContain("n2-a saw n1 as 192.168.50.11 (from the node's own address)");
      expect(verified.code).toBe(0);
      const { out, code } = lab('walk', '--name', OTHER, 'n1-a', 'n2-a');
      expect(out).toContain('n1-a → n2-a: another node, by a route to it');
      expect(out).toContain('node route 10.244.2.0/24 via 192.168.50.12 dev eth0');
      expect(out).not.toContain('VXLAN');
      expect(code).toBe(0);
      for (const fault of ['route', 'api']) expect(lab('break', fault, '--name', OTHER).code).toBe(0);
      expect(lab('status', '--name', OTHER).out).toMatch(/^n1 .* 1 +\d+ +0$/m);
      if (backend === 'host-gw')
        expect(lab('break', 'link', '--name', OTHER).err).toContain('no VXLAN device to break');
      expect(lab('down', '--name', OTHER).code).toBe(0);
    });
  }
});

describe('down', () => {
  test('leaves nothing behind', async () => {
    const namespaces = ownNamespaces(NAME);
    // Underlay, world, and per node one of each kind and two pods.
    expect(namespaces.size).toBe(2 + 3 * 4);
    const { code, out } = lab('down', '--name', NAME);
    expect(code).toBe(0);
    expect(out).toContain(`lab "${NAME}" is gone`);
    await expectGone(NAME, namespaces);
    expect(additions(before, machine())).toEqual([]);
    expect(lab('down', '--name', NAME).out).toContain(`there is no lab "${NAME}"`);
    expect(lab('verify', '--name', NAME).err).toContain('is not running');
  });
});
