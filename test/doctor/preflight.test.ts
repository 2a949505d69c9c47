import { afterAll, beforeEach, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemAccess } from '#cli/doctor/facts/host-access.ts';
import { kernelTrials } from '#cli/doctor/probe/kernel-trial.ts';
import { ERRNO, ErrnoError } from '#base/errors.ts';
import { readSysctl } from '#host/sysctl.ts';
import { BIN } from '../support/cni-machine.ts';
import { diagnose, installedHost } from '../support/doctor.ts';
import { describeInNetns, must, run } from '../support/netns.ts';

const NET_CONF = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}';
const folder = mkdtempSync(join(tmpdir(), 'doctor-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A host with everything that Flannel needs, before its first start. */
function freshHost(): string[] {
  for (const link of ['eth0', 'd0', 'vx1']) run(['ip', 'link', 'delete', link]);
  must(['ip', 'link', 'set', 'lo', 'up']);
  must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
  must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
  must(['ip', 'link', 'set', 'wire', 'up']);
  must(['ip', 'link', 'set', 'eth0', 'up']);
  must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
  must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.bridge.bridge-nf-call-iptables=1']);
  for (const argv of [
    ['nft', 'flush', 'ruleset'],
    ['iptables-legacy', '-t', 'mangle', '-X'],
  ])
    run(argv);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/net-conf.json`, NET_CONF);
  return [
    ...installedHost(folder),
    `--net-config-path=${folder}/net-conf.json`,
    `--subnet-file=${folder}/run/subnet.env`,
  ];
}

interface Fault {
  readonly title: string;
  /** What is done on the host; further flags. */
  readonly plant: (flags: readonly string[]) => readonly string[] | void;
  readonly found: readonly string[];
  /** What the finding must name, cure included. */
  readonly names: readonly string[];
}

const conf = (name: string) => `${folder}/net.d/${name}`;
const netConf = (text: string) => writeFileSync(`${folder}/net-conf.json`, text);
/** A folder of plugins, changed by `change`. */
const plugins = (change: (bin: string) => void) => () => {
  const bin = `${folder}/bin`;
  mkdirSync(bin);
  for (const name of ['flannel', 'bridge', 'host-local', 'loopback', 'portmap'])
    symlinkSync(`${BIN}/${name}`, `${bin}/${name}`);
  change(bin);
  return [`--bin-dir=${bin}`];
};
const replaced = (name: string, text: string, mode: number) => (bin: string) => {
  unlinkSync(`${bin}/${name}`);
  writeFileSync(`${bin}/${name}`, text);
  chmodSync(`${bin}/${name}`, mode);
};

const FAULTS: readonly Fault[] = [
  {
    title: 'forwarding is off',
    plant: () => void must(['sysctl', '-qw', 'net.ipv4.ip_forward=0']),
    found: ['warning forwarding'],
    names: ['net.ipv4.ip_forward is 0', 'sysctl -w net.ipv4.ip_forward=1'],
  },
  {
    title: 'bridged packets do not pass iptables',
    plant: () => void must(['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0']),
    found: ['error br-netfilter'],
    names: ['net.bridge.bridge-nf-call-iptables is 0', 'sysctl -w net.bridge.bridge-nf-call-iptables=1'],
  },
  {
    title: 'in nftables mode they need not',
    plant: () => {
      must(['sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0']);
      netConf('{"Network": "10.244.0.0/16", "EnableNFTables": true, "Backend": {"Type": "vxlan"}}');
    },
    found: [],
    names: [],
  },
  {
    title: 'the kubelet uses the other variant of iptables',
    plant: () => void must(['iptables-legacy', '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT']),
    found: ['warning iptables'],
    names: [
      'iptables is the nft variant',
      'uses legacy (chain KUBE-IPTABLES-HINT)',
      '/usr/sbin/iptables-legacy',
    ],
  },
  {
    title: 'net-conf.json has a wrong value',
    plant: () => netConf('{"Network": "10.244.0.0", "Backend": {"Type": "vxlan"}}'),
    found: ['error net-conf'],
    names: ['net-conf.json: Network', '10.244.0.0'],
  },
  {
    title: 'net-conf.json is no JSON',
    plant: () => netConf('{"Network": "10.244.0.0/16"'),
    found: ['error net-conf'],
    names: ['not valid JSON'],
  },
  {
    title: 'net-conf.json has a key that nobody knows',
    plant: () => netConf('{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "Ports": 1}}'),
    found: ['warning net-conf'],
    names: ['Ports', 'did you mean'],
  },
  {
    title: 'the file that was named is not there',
    plant: () => [`--net-config-path=${folder}/none`],
    found: ['error net-conf'],
    names: ['there is no such file'],
  },
  {
    title: 'there is no default route',
    plant: () => void must(['ip', 'route', 'del', 'default']),
    found: ['error external'],
    names: ['there is no default route', '--iface'],
  },
  {
    title: 'the external interface has no carrier',
    plant: () => void must(['ip', 'link', 'set', 'wire', 'down']),
    found: ['error external'],
    names: ['eth0 is down or has no carrier'],
  },
  {
    title: 'IPv6 is wanted and there is no address of it',
    plant: () => {
      must(['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1', 'net.bridge.bridge-nf-call-ip6tables=1']);
      netConf(
        '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}',
      );
    },
    found: ['warning external'],
    names: ['eth0 has no ipv6 address'],
  },
  {
    title: "another network has the pod network's addresses",
    plant: () => {
      must(['ip', 'link', 'add', 'd0', 'type', 'bridge']);
      must(['ip', 'addr', 'add', '10.244.77.1/24', 'dev', 'd0']);
      must(['ip', 'link', 'set', 'd0', 'up']);
    },
    found: ['error overlap'],
    names: ['d0 has the address 10.244.77.1/24', '10.244.0.0/16'],
  },
  {
    title: 'a route leads part of the pod network elsewhere',
    plant: () => void must(['ip', 'route', 'add', '10.244.9.0/24', 'via', '192.168.50.7']),
    found: ['error overlap'],
    names: ['the route 10.244.9.0/24 by eth0', 'ip route del 10.244.9.0/24 dev eth0'],
  },
  {
    title: 'a route covers the pod network and more',
    plant: () => void must(['ip', 'route', 'add', '10.0.0.0/8', 'via', '192.168.50.7']),
    found: ['info overlap'],
    names: ['the route 10.0.0.0/8 by eth0 covers'],
  },
  {
    title: 'services have addresses of the pod network',
    plant: () => ['--service-cidr=10.96.0.0/12,10.244.128.0/20'],
    found: ['error overlap'],
    names: ['the service range 10.244.128.0/20'],
  },
  {
    title: 'another device has VNI and port',
    plant: () =>
      void must(['ip', 'link', 'add', 'vx1', 'type', 'vxlan', 'id', '1', 'dstport', '8472', 'dev', 'eth0']),
    found: ['error foreign-vxlan'],
    names: ['device vx1 has VNI 1 on UDP port 8472', 'ip link delete vx1'],
  },
  {
    title: 'another device takes all VNIs of the port',
    plant: () => void must(['ip', 'link', 'add', 'vx1', 'type', 'vxlan', 'external', 'dstport', '8472']),
    found: ['error foreign-vxlan'],
    names: ['device vx1 takes all VNIs on UDP port 8472'],
  },
  {
    title: 'another device is on the port with another VNI',
    plant: () =>
      void must(['ip', 'link', 'add', 'vx1', 'type', 'vxlan', 'id', '2', 'dstport', '8472', 'dev', 'eth0']),
    found: ['info foreign-vxlan'],
    names: ['device vx1 is on UDP port 8472, too, with VNI 2'],
  },
  {
    title: 'the conflist is not there',
    plant: () => unlinkSync(conf('10-flannel.conflist')),
    found: ['info conflist'],
    names: ['names the plugin flannel', 'flannelctl install-cni'],
  },
  {
    title: 'a file in the folder is damaged',
    plant: () => writeFileSync(conf('20-x.conflist'), '{"name"'),
    found: ['error conflist'],
    names: ['20-x.conflist is not JSON'],
  },
  {
    title: 'the conflist has a version that nobody knows',
    plant: () =>
      writeFileSync(
        conf('10-flannel.conflist'),
        '{"name":"cbr0","cniVersion":"2.0.0","plugins":[{"type":"flannel"}]}',
      ),
    found: ['error conflist', ...Array.from({ length: 4 }, () => 'error cni-plugins')],
    names: ['cniVersion "2.0.0"'],
  },
  {
    title: 'another network comes first',
    plant: () =>
      writeFileSync(
        conf('05-other.conflist'),
        '{"name":"x","cniVersion":"1.0.0","plugins":[{"type":"ptp"}]}',
      ),
    found: ['error cni-order'],
    names: ['05-other.conflist sorts before 10-flannel.conflist', `rm ${conf('05-other.conflist')}`],
  },
  {
    title: 'another network comes behind',
    plant: () =>
      writeFileSync(
        conf('87-podman.conflist'),
        '{"name":"x","cniVersion":"1.0.0","plugins":[{"type":"ptp"}]}',
      ),
    found: [],
    names: [],
  },
  {
    title: 'a plugin is not there',
    plant: plugins((bin) => unlinkSync(`${bin}/portmap`)),
    found: ['error cni-plugins'],
    names: ['/bin: portmap', 'flannelctl install-cni'],
  },
  {
    title: 'a plugin is not executable',
    plant: plugins(replaced('bridge', '', 0o644)),
    found: ['error cni-plugins'],
    names: ['/bridge is not executable', 'chmod 755'],
  },
  {
    title: 'a plugin is another program',
    plant: plugins(replaced('bridge', '#!/bin/true\n', 0o755)),
    found: ['error cni-plugins'],
    names: ['/bridge does not answer as a CNI plugin: its answer is not JSON'],
  },
  {
    title: 'a plugin is no program at all',
    plant: plugins(replaced('bridge', 'gone', 0o755)),
    found: ['error cni-plugins'],
    names: ['/bridge does not answer as a CNI plugin: it cannot be started'],
  },
  {
    title: 'a plugin is too old for the conflist',
    plant: plugins(
      replaced('loopback', '#!/bin/echo {"cniVersion":"0.2.0","supportedVersions":["0.2.0"]}\n', 0o755),
    ),
    found: ['error cni-plugins'],
    names: ['/loopback'],
  },
  {
    title: 'a firewall drops what is forwarded',
    plant: () => {
      must(['nft', 'add', 'table', 'inet', 'fw']);
      must([
        'nft',
        'add',
        'chain',
        'inet',
        'fw',
        'mine',
        '{ type filter hook forward priority 0; policy drop; }',
      ]);
    },
    found: ['error forward'],
    names: ['chain mine of table inet fw', 'nft insert rule inet fw mine ip saddr 10.244.0.0/16 accept'],
  },
  {
    title: "the API server's name is wrong",
    plant: () => ['--kube-api-url=http://127.0.0.1:1', '--node-name=n1'],
    found: ['error api'],
    names: ['connection refused'],
  },
];

describeInNetns(
  import.meta.path,
  'flannelctl doctor before the first start',
  () => {
    let flags: string[] = [];
    beforeEach(() => {
      flags = freshHost();
    });

    test('finds nothing on a host that is ready, and asks nothing that only an agent could answer', async () => {
      const { found, text, skipped } = await diagnose(flags);
      expect([found, text]).toEqual([[], '']);
      expect([...skipped.keys()]).toEqual(
        expect.arrayContaining(['api', 'agent', 'plan', 'overlay', 'ipam']),
      );
      expect([...skipped.keys()]).not.toEqual(expect.arrayContaining(['kernel']));
    });

    for (const { title, plant, found, names } of FAULTS) {
      test(title, async () => {
        const more = plant(flags) ?? [];
        const diagnosis = await diagnose([...flags, ...more]);
        expect([diagnosis.found, diagnosis.text]).toEqual([found, expect.any(String)]);
        for (const name of names) expect(diagnosis.text).toContain(name);
      });
    }

    test('a program has the port', async () => {
      const socket = await Bun.udpSocket({ port: 8472, hostname: '0.0.0.0' });
      const { found, text } = await diagnose(flags);
      socket.close();
      expect(found).toEqual(['error foreign-vxlan']);
      expect(text).toContain(`(process ${process.pid}) listens on UDP port 8472 (0.0.0.0)`);
    });

    for (const { name, cure } of kernelTrials()) {
      test(`the kernel cannot do ${name}`, async () => {
        if (name === 'nftables')
          netConf('{"Network": "10.244.0.0/16", "EnableNFTables": true, "Backend": {"Type": "vxlan"}}');
        const fail = () => {
          throw new ErrnoError('create', ERRNO.EOPNOTSUPP);
        };
        const trials = kernelTrials().map((trial) => (trial.name === name ? { ...trial, run: fail } : trial));
        const { found, text } = await diagnose(flags, { trials });
        expect(found).toEqual(['error kernel']);
        expect(text).toContain(
          `this kernel cannot do ${name}: create: not supported by this kernel (EOPNOTSUPP)`,
        );
        expect(text).toContain(cure);
      });
    }

    test('a kernel without nftables is only worth knowing in iptables mode', async () => {
      const fail = () => {
        throw new ErrnoError('create', ERRNO.EOPNOTSUPP);
      };
      const trials = kernelTrials().map((trial) =>
        trial.name === 'nftables' ? { ...trial, run: fail } : trial,
      );
      expect((await diagnose(flags, { trials })).found).toEqual(['info kernel']);
    });

    test('trying out leaves nothing behind', async () => {
      const seen = () => must(['ip', 'link']) + must(['nft', 'list', 'ruleset']);
      const before = seen();
      await diagnose(flags);
      expect(seen()).toBe(before);
    });

    test('iptables is not installed', async () => {
      const { run: real } = systemAccess(process.env);
      const without: typeof real = (argv, call) =>
        argv[0].includes('tables') ? Promise.resolve(undefined) : real(argv, call);
      const { found, text } = await diagnose(flags, { run: without });
      expect(found).toEqual(['error iptables']);
      expect(text).toContain('not found: iptables, iptables-save, iptables-restore');
    });

    test('br_netfilter is not loaded', async () => {
      const sysctl = (path: string) => (path.startsWith('net/bridge') ? undefined : readSysctl(path));
      const { found, text } = await diagnose(flags, { sysctl });
      expect(found).toEqual(['error br-netfilter']);
      expect(text).toContain('modprobe br_netfilter');
    });

    test('the neighbour table is too small for the pods of a node', async () => {
      const sysctl = (path: string) => (path.endsWith('gc_thresh3') ? '512' : readSysctl(path));
      mkdirSync(`${folder}/run`);
      writeFileSync(
        `${folder}/run/subnet.env`,
        'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
      );
      const { found, text } = await diagnose(flags, { sysctl });
      expect(found).toEqual(['warning neighbour-table']);
      expect(text).toContain('net.ipv4.neigh.default.gc_thresh3 is 512, and a node full of pods needs 768');
      expect(text).toContain('net.ipv4.neigh.default.gc_thresh3=1024');
    });
  },
  { mounts: false },
);
