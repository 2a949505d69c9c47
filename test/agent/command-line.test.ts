import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentProcess } from '../support/agent-process.ts';

interface Ended {
  readonly code: number | null;
  readonly log: string;
}

/** Runs flanneld with a configuration that must stop it at once. */
async function ends(args: readonly string[], netConf?: string, env = {}): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'flanneld-test-'));
  try {
    const file = join(folder, 'net-conf.json');
    if (netConf !== undefined) writeFileSync(file, netConf);
    const files = [`--net-config-path=${file}`, `--subnet-file=${join(folder, 'subnet.env')}`];
    await using agent = new AgentProcess({
      args: [...files, ...args],
      env: { NODE_NAME: 'n1', ...env },
    });
    const code = await agent.exited();
    return { code, log: agent.log.replaceAll(folder, '') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Nothing listens there: who got so far would wait.
const KUBE = ['--kube-subnet-mgr', '--kube-api-url=http://127.0.0.1:9'];

const CASES: readonly (readonly [string, string | undefined, readonly string[], readonly string[]])[] = [
  ['a flag that is none', '{}', [...KUBE, '--ip-mask'], ['--ip-mask: no such flag', '--ip-masq']],
  ['a boolean that is none', '{}', [...KUBE, '--ip-masq=maybe'], ['--ip-masq: "maybe" is not a boolean']],
  ['a number that is none', '{}', [...KUBE, '--healthz-port', 'x'], ['--healthz-port', '0 to 65535']],
  [
    'a word too many',
    '{}',
    [...KUBE, '--ip-masq', 'false'],
    ['unexpected argument "false"', '--ip-masq=false'],
  ],
  [
    'a checksum mode that is none',
    '{}',
    [...KUBE, '--vxlan-tx-checksum=never'],
    ['--vxlan-tx-checksum: "never"', 'auto, on and off'],
  ],
  [
    'a network that is none',
    '{}',
    [...KUBE, '--ip-masq', '--ip-masq-exclude=10.0.0.0/8,10.1.2.3/24'],
    ['--ip-masq-exclude: 10.1.2.3/24', 'Use 10.1.2.0/24'],
  ],
  ['a log format that is none', '{}', [...KUBE, '--log-format=xml'], ['neither text nor json']],
  ['a regular expression that is none', '{}', [...KUBE, '--iface-regex=('], ['--iface-regex: "("']],
  ['a target that is none', '{}', [...KUBE, '--iface-can-reach=gateway'], ['--iface-can-reach: "gateway"']],
  ['a public address that is none', '{}', [...KUBE, '--public-ip=fd50::1'], ['--public-ip: "fd50::1"']],
  ['a public address that nobody has', '{}', [...KUBE, '--public-ipv6=ff02::1'], ['--public-ipv6: ff02::1']],
  [
    'a backend that is not built in',
    '{"Network":"10.244.0.0/16","Backend":{"Type":"tencent-vpc"}}',
    KUBE,
    ['Backend.Type', 'tencent-vpc is not built into this version', 'Set Backend.Type to one of vxlan'],
  ],
  [
    'a backend option out of range',
    '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan","vni":16777216}}',
    KUBE,
    ['Backend.VNI', '16777216'],
  ],
  ['an etcd that is none', '{}', ['--etcd-endpoints=ftp://a'], ['--etcd-endpoints: "ftp://a"']],
  ['no configuration', undefined, KUBE, ['/net-conf.json', 'cannot be read', 'kube-flannel-cfg']],
  ['no JSON', '{"Network": ', KUBE, ['/net-conf.json']],
  ['no network', '{}', KUBE, ['/net-conf.json: Network']],
  ['a network that is none', '{"Network":"10.244.0.0/99"}', KUBE, ['Network', '10.244.0.0/99']],
  [
    'a backend that is none',
    '{"Network":"10.244.0.0/16","Backend":{"Type":"vxlam"}}',
    KUBE,
    ['Backend.Type', 'vxlam'],
  ],
];

for (const [name, netConf, args, words] of CASES) {
  test(`${name}: exit code 2 and clear words`, async () => {
    const { code, log } = await ends(args, netConf);
    for (const word of words) expect(log).toContain(word);
    expect(log).not.toMatch(/^\s+at /m);
    expect(code).toBe(2);
  });
}

test('a wrong value in the environment names the variable', async () => {
  const { code, log } = await ends(KUBE, '{}', { FLANNELD_IP_MASQ: 'si' });
  expect(log).toContain('FLANNELD_IP_MASQ: "si" is not a boolean');
  expect(code).toBe(2);
});

test('--version and --help end with 0', async () => {
  for (const flag of ['--version', '-version', '--help', '-h']) {
    const { code, log } = await ends([flag]);
    expect({ flag, code, log }).toEqual({ flag, code: 0, log: '' });
  }
});
