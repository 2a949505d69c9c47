import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import type { LabState } from '#lab/state/state.ts';
import { BIN } from '../support/cni-machine.ts';
import { eventually } from '../support/eventually.ts';
import { must, nameOfRun, run } from '../support/netns.ts';

const FLANNELCTL = `${BIN}/flannelctl`;
const NAME = nameOfRun('doctor');

/** Runs a command in the lab: `n1`, `n2`, `underlay`. */
type At = readonly [place: string, ...argv: string[]];

const exec = (place: string, argv: readonly string[]) =>
  run([FLANNELCTL, 'lab', 'exec', '--name', NAME, place, '--', ...argv]);

function at([place, ...argv]: At): void {
  const { code, stderr } = exec(place, argv);
  if (code !== 0) throw new Error(`${place}: ${argv.join(' ')}: ${stderr}`);
}

interface Report {
  readonly severity: string;
  readonly checks: readonly {
    readonly id: string;
    readonly skipped?: string;
    readonly findings: readonly {
      readonly severity: string;
      readonly what: string;
      readonly cure?: string;
    }[];
  }[];
}

function doctor(...flags: readonly string[]): { readonly code: number; readonly report: Report } {
  const { code, stdout, stderr } = exec('n1', ['flannelctl', 'doctor', '-o', 'json', ...flags]);
  if (stdout === '') throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as Report };
}

function found({ checks }: Report): string[] {
  return checks.flatMap(({ id, findings }) =>
    findings.filter(({ severity }) => severity !== 'ok').map(({ severity }) => `${severity} ${id}`),
  );
}

const words = (report: Report) =>
  report.checks
    .flatMap(({ findings }) => findings.filter(({ severity }) => severity !== 'ok'))
    .map(({ what, cure = '' }) => `${what}; ${cure}`)
    .join('\n');

function agentPid(node: string): number {
  const state = JSON.parse(readFileSync(`/run/flannel-lab/${NAME}/state.json`, 'utf8')) as LabState;
  return state.nodes.find(({ name }) => name === node)?.agentPid ?? 0;
}

interface Fault {
  readonly title: string;
  /** The agent of n1 sleeps meanwhile: it would mend it before anybody looks. */
  readonly asleep?: true;
  readonly plant: readonly At[];
  readonly mend: readonly At[];
  readonly found: readonly string[];
  readonly names: readonly string[];
}

/** The capabilities that the manifest gives the agent. */
const AS_AGENT = ['setpriv', '--bounding-set=-all,+net_admin,+net_raw'];
const MAC = '02:00:00:00:00:99';

const FAULTS: readonly Fault[] = [
  {
    title: 'forwarding is off',
    asleep: true,
    plant: [['n1', 'sysctl', '-qw', 'net.ipv4.ip_forward=0']],
    mend: [],
    found: ['error forwarding'],
    names: ['net.ipv4.ip_forward is 0'],
  },
  {
    title: 'UDP 8472 is blocked at another node',
    plant: [['n2', 'iptables', '-I', 'INPUT', '-p', 'udp', '--dport', '8472', '-j', 'DROP']],
    mend: [['n2', 'iptables', '-D', 'INPUT', '-p', 'udp', '--dport', '8472', '-j', 'DROP']],
    found: ['error overlay'],
    names: [
      'no answer through the overlay from n2, though 192.168.50.12 itself answers',
      'open UDP port 8472',
    ],
  },
  {
    title: 'UDP 8472 is blocked here',
    plant: [['n1', 'iptables', '-I', 'INPUT', '-p', 'udp', '--dport', '8472', '-j', 'DROP']],
    mend: [['n1', 'iptables', '-D', 'INPUT', '-p', 'udp', '--dport', '8472', '-j', 'DROP']],
    found: ['error overlay'],
    names: ['from n2, n3', 'first here'],
  },
  {
    title: 'another node is silent',
    plant: [['underlay', 'ip', 'link', 'set', 'n2', 'down']],
    mend: [['underlay', 'ip', 'link', 'set', 'n2', 'up']],
    found: ['warning overlay'],
    names: ['no answer from n2, neither through the overlay nor beside it'],
  },
  {
    title: 'the network between the nodes takes short packets alone',
    plant: [['underlay', 'ip', 'link', 'set', 'n2', 'mtu', '1400']],
    mend: [['underlay', 'ip', 'link', 'set', 'n2', 'mtu', '1500']],
    found: ['error path-mtu'],
    names: ['packets of 1500 bytes do not reach n2: about 1400 bytes do', 'set Backend.MTU to 1400'],
  },
  {
    title: 'checksums that the card computes are wrong',
    plant: [
      ['n2', 'iptables', '-I', 'INPUT', '-i', 'flannel.1', '-p', 'udp', '--dport', '33434', '-j', 'DROP'],
    ],
    mend: [
      ['n2', 'iptables', '-D', 'INPUT', '-i', 'flannel.1', '-p', 'udp', '--dport', '33434', '-j', 'DROP'],
    ],
    found: ['error checksum'],
    names: ['datagrams to n2 arrive with a wrong checksum', '--vxlan-tx-checksum=off'],
  },
  {
    title: 'checksums are wrong, and the other node has said of many ports just now that they are closed',
    plant: [
      ['n2', 'iptables', '-I', 'INPUT', '-i', 'flannel.1', '-p', 'udp', '--dport', '33434', '-j', 'DROP'],
      ['n1', 'bash', '-c', 'for port in {33500..33520}; do echo x > /dev/udp/10.244.2.0/$port; done'],
    ],
    mend: [
      ['n2', 'iptables', '-D', 'INPUT', '-i', 'flannel.1', '-p', 'udp', '--dport', '33434', '-j', 'DROP'],
    ],
    found: ['error checksum'],
    names: ['datagrams to n2 arrive with a wrong checksum'],
  },
  {
    title: 'a firewall that drops all UDP to closed ports is no wrong checksum',
    plant: [['n2', 'iptables', '-I', 'INPUT', '-i', 'flannel.1', '-p', 'udp', '-j', 'DROP']],
    mend: [['n2', 'iptables', '-D', 'INPUT', '-i', 'flannel.1', '-p', 'udp', '-j', 'DROP']],
    found: [],
    names: [],
  },
  {
    title: 'a route of another node is gone',
    asleep: true,
    plant: [['n1', 'ip', 'route', 'del', '10.244.2.0/24']],
    mend: [],
    found: ['error plan', 'error overlay'],
    names: [
      'route 10.244.2.0/24 via 10.244.2.0 dev flannel.1',
      'flannelctl diff',
      "from n2: this node's entries for them are not as planned",
    ],
  },
  {
    title: 'the device has another MTU',
    asleep: true,
    plant: [['n1', 'ip', 'link', 'set', 'flannel.1', 'mtu', '1400']],
    mend: [],
    found: ['error plan'],
    names: ['link flannel.1 has MTU 1400, not 1450'],
  },
  {
    title: 'something is left of a node that is gone',
    asleep: true,
    plant: [
      ['n1', 'ip', 'neigh', 'add', '10.244.99.0', 'lladdr', MAC, 'dev', 'flannel.1', 'nud', 'permanent'],
    ],
    mend: [],
    found: ['warning stale'],
    names: [`neighbour 10.244.99.0 lladdr ${MAC} dev flannel.1 is not planned`],
  },
  {
    title: 'a device is left of another configuration',
    asleep: true,
    plant: [
      ['n1', 'ip', 'link', 'add', 'flannel.7', 'type', 'vxlan', 'id', '7', 'dstport', '8477', 'dev', 'eth0'],
    ],
    mend: [],
    found: ['warning stale'],
    names: ['link flannel.7 of an earlier configuration'],
  },
  {
    title: 'the traffic rules are gone',
    asleep: true,
    plant: [['n1', 'iptables', '-t', 'nat', '-F', 'FLANNEL-POSTRTG']],
    mend: [],
    found: ['error rules'],
    names: ['nat FLANNEL-POSTRTG'],
  },
  {
    title: "the pods' bridge has another MTU",
    plant: [['n1', 'ip', 'link', 'set', 'cni0', 'mtu', '1500']],
    mend: [['n1', 'ip', 'link', 'set', 'cni0', 'mtu', '1450']],
    found: ['error mtu'],
    names: ['the MTU of cni0 is 1500, not 1450', 'ip link set cni0 mtu 1450'],
  },
  {
    title: "the pods' bridge has another address",
    plant: [
      ['n1', 'ip', 'addr', 'add', '10.244.9.1/24', 'dev', 'cni0'],
      ['n1', 'ip', 'addr', 'del', '10.244.1.1/24', 'dev', 'cni0'],
    ],
    mend: [
      ['n1', 'ip', 'addr', 'add', '10.244.1.1/24', 'dev', 'cni0'],
      ['n1', 'ip', 'addr', 'del', '10.244.9.1/24', 'dev', 'cni0'],
    ],
    found: ['error bridge'],
    names: ['cni0 has 10.244.9.1/24, not 10.244.1.1/24', '2 pods are on it'],
  },
  {
    title: 'a reservation is gone, its pod is not',
    plant: [['n1', 'mv', '/var/lib/cni/networks/cbr0/10.244.1.2', '/var/lib/cni/kept']],
    mend: [['n1', 'mv', '/var/lib/cni/kept', '/var/lib/cni/networks/cbr0/10.244.1.2']],
    found: ['warning ipam'],
    names: ['in use without a reservation: 10.244.1.2 (n1-'],
  },
  {
    title: 'a pod is gone, its reservation is not',
    asleep: true,
    plant: [
      [
        'n1',
        'sed',
        '-n',
        'w /var/lib/cni/networks/cbr0/10.244.1.99',
        '/var/lib/cni/networks/cbr0/10.244.1.2',
      ],
      [
        'n1',
        'sed',
        '-n',
        '-e',
        '1s/^.*/of-another-boot\\r/',
        '-e',
        'w /var/lib/cni/networks/cbr0/.boot/10.244.1.99',
        '/var/lib/cni/networks/cbr0/.boot/10.244.1.2',
      ],
    ],
    mend: [
      [
        'n1',
        'rm',
        '-f',
        '/var/lib/cni/networks/cbr0/10.244.1.99',
        '/var/lib/cni/networks/cbr0/.boot/10.244.1.99',
      ],
    ],
    found: ['info ipam'],
    names: ['reserved for pods that are gone: 10.244.1.99', 'the agent frees them within three minutes'],
  },
  {
    title: 'no address is free',
    plant: [
      [
        'n1',
        'touch',
        ...Array.from({ length: 251 }, (_, at) => `/var/lib/cni/networks/cbr0/10.244.1.${at + 4}`),
      ],
    ],
    mend: [
      [
        'n1',
        'rm',
        ...Array.from({ length: 251 }, (_, at) => `/var/lib/cni/networks/cbr0/10.244.1.${at + 4}`),
      ],
    ],
    found: ['error addresses'],
    names: ['0 of 253 addresses of 10.244.1.0/24 are free', '--node-cidr-mask-size'],
  },
  {
    title: 'few addresses are free',
    plant: [
      [
        'n1',
        'touch',
        ...Array.from({ length: 240 }, (_, at) => `/var/lib/cni/networks/cbr0/10.244.1.${at + 4}`),
      ],
    ],
    mend: [
      [
        'n1',
        'rm',
        ...Array.from({ length: 240 }, (_, at) => `/var/lib/cni/networks/cbr0/10.244.1.${at + 4}`),
      ],
    ],
    found: ['warning addresses'],
    names: ['11 of 253 addresses'],
  },
  {
    title: 'a rule of iptables masquerades everything',
    plant: [['n1', 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'MASQUERADE']],
    mend: [['n1', 'iptables', '-t', 'nat', '-D', 'POSTROUTING', '-j', 'MASQUERADE']],
    found: ['warning masquerade'],
    names: ['table ip nat, from chain POSTROUTING, masquerades what pods send to other nodes: -j MASQUERADE'],
  },
  {
    title: 'a rule of nftables masquerades a network that pods are part of',
    plant: [
      ['n1', 'nft', 'add table inet fw'],
      ['n1', 'nft', 'add chain inet fw post { type nat hook postrouting priority 100; }'],
      ['n1', 'nft', 'add chain inet fw inner'],
      ['n1', 'nft', 'add rule inet fw post jump inner'],
      ['n1', 'nft', 'add rule inet fw inner ip saddr 10.0.0.0/8 oifname "flannel*" masquerade'],
    ],
    mend: [['n1', 'nft', 'delete table inet fw']],
    found: ['warning masquerade'],
    names: ['table inet fw, from chain post', 'ip saddr 10.0.0.0/8'],
  },
  {
    title: 'masquerading at the way out is as it should be',
    plant: [
      [
        'n1',
        'iptables',
        '-t',
        'nat',
        '-A',
        'POSTROUTING',
        '-s',
        '10.244.0.0/16',
        '-o',
        'eth0',
        '-j',
        'MASQUERADE',
      ],
      ['n1', 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-s', '172.17.0.0/16', '-j', 'MASQUERADE'],
      [
        'n1',
        'iptables',
        '-t',
        'nat',
        '-A',
        'POSTROUTING',
        '-m',
        'mark',
        '--mark',
        '0x4000/0x4000',
        '-j',
        'MASQUERADE',
      ],
    ],
    mend: [
      [
        'n1',
        'iptables',
        '-t',
        'nat',
        '-D',
        'POSTROUTING',
        '-s',
        '10.244.0.0/16',
        '-o',
        'eth0',
        '-j',
        'MASQUERADE',
      ],
      ['n1', 'iptables', '-t', 'nat', '-D', 'POSTROUTING', '-s', '172.17.0.0/16', '-j', 'MASQUERADE'],
      [
        'n1',
        'iptables',
        '-t',
        'nat',
        '-D',
        'POSTROUTING',
        '-m',
        'mark',
        '--mark',
        '0x4000/0x4000',
        '-j',
        'MASQUERADE',
      ],
    ],
    found: [],
    names: [],
  },
];

describe('flannelctl doctor on a node of the lab', () => {
  beforeAll(() => {
    must([FLANNELCTL, 'lab', 'up', '--name', NAME, '--nodes', '3']);
  }, 300_000);

  afterAll(() => {
    run([FLANNELCTL, 'lab', 'down', '--name', NAME]);
  });

  test('finds nothing', async () => {
    await clean();
    const { code, stdout } = exec('n1', ['flannelctl', 'doctor']);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^3\d checks: nothing is wrong \(\d not asked\)\n$/),
    ]);
  });

  for (const fault of FAULTS) {
    test(fault.title, async () => {
      if (fault.asleep === true) process.kill(agentPid('n1'), 'SIGSTOP');
      try {
        fault.plant.forEach(at);
        const { code, report } = doctor();
        const text = words(report);
        // That the agent sleeps is found, too.
        const asleep: string[] = fault.asleep === true ? ['error sync'] : [];
        expect(found(report).filter((each): boolean => each === 'error sync')).toEqual(asleep);
        const others = found(report).filter((each) => !asleep.includes(each));
        expect([others, text]).toEqual([fault.found, expect.any(String)]);
        for (const name of fault.names) expect(text).toContain(name);
        if (fault.asleep === true) expect(text).toContain(`process ${agentPid('n1')}, does not answer`);
        expect(code).toBe({ ok: 0, info: 0, warning: 1, error: 2 }[report.severity] ?? -1);
      } finally {
        fault.mend.forEach(at);
        if (fault.asleep === true) process.kill(agentPid('n1'), 'SIGCONT');
      }
      await clean();
    });
  }

  test('one check alone', () => {
    const { code, report } = doctor('--only', 'overlay,kernel');
    expect([code, report.checks.map(({ id }) => id)]).toEqual([0, ['kernel', 'overlay']]);
  });

  test('one peer alone is probed', () => {
    const { report } = doctor('--only', 'overlay', '--peers', '1');
    expect(report.checks[0]?.findings[0]?.what).toBe('1 of 2 nodes answer');
  });

  test('with the rights of the agent in its pod it asks less, and finds nothing', () => {
    const { code, stdout } = exec('n1', [...AS_AGENT, 'flannelctl', 'doctor', '-o', 'json']);
    const report = JSON.parse(stdout) as Report;
    expect([code, found(report), words(report)]).toEqual([0, [], '']);
    const kernel = report.checks.find(({ id }) => id === 'kernel');
    expect(kernel?.skipped).toContain('run it on the host');
    expect(report.checks.find(({ id }) => id === 'overlay')?.findings[0]?.what).toBe('2 nodes answer');
  });

  test('a wrong word is no diagnosis', () => {
    const { code, stdout, stderr } = exec('n1', ['flannelctl', 'doctor', '--only', 'overlays']);
    expect([code, stdout, stderr]).toEqual([64, '', expect.stringContaining('did you mean overlay?')]);
  });

  test('what takes long is said', () => {
    at(['n2', 'iptables', '-I', 'INPUT', '-j', 'DROP']);
    const { stderr } = exec('n1', ['flannelctl', 'doctor', '--timeout', '2500']);
    at(['n2', 'iptables', '-D', 'INPUT', '-j', 'DROP']);
    expect(stderr).toMatch(/^still looking at .*\boverlay\b/m);
  });
});

/** The agent has mended what it had to, and its rules; then there is nothing. */
async function clean(): Promise<void> {
  await eventually(() => {
    const { report } = doctor();
    expect([found(report), words(report)]).toEqual([[], '']);
  });
}
