import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { flannelctl, placeFlannelctl } from '../support/flannelctl.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, must, run } from '../support/netns.ts';
import { NodePod } from '../support/node-pods.ts';

interface Scene extends AsyncDisposable {
  readonly at: AgentWorld;
  /** 10.244.1.2 and 10.244.1.3. */
  readonly pods: readonly [NodePod, NodePod];
  /** A stopped process: it mends nothing. */
  readonly freeze: () => void;
  readonly walk: (...args: string[]) => Promise<{ code: number; lines: string[] }>;
}

/** A node with an agent, two pods, and the peer n2. */
async function scene(config: string): Promise<Scene> {
  const stack = new AsyncDisposableStack();
  const at = stack.use(await AgentWorld.create({ netConf: golden(`${config}/net-conf.json`) }));
  at.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  at.addPeer('n2', N2);
  const ipam = `${at.folder}/networks`;
  const pods = [stack.use(NodePod.create(2, ipam)), stack.use(NodePod.create(3, ipam))] as const;
  stack.defer(() => {
    must(['ip', 'link', 'delete', 'cni0']);
    // These belong to no device that goes with the world.
    for (const type of ['blackhole', 'prohibit']) run(['ip', 'route', 'flush', 'type', type]);
    run(['ip', 'rule', 'del', 'pref', '100']);
  });
  const agent = stack.use(await at.startReady([], { env: { TEST_SAVE_MS: '100' } }));
  await eventually(() => expect(existsSync(`${at.folder}/run/last-known`)).toBe(true));
  placeFlannelctl(at.folder);
  const files = ['--run-dir', `${at.folder}/run`, '--ipam-dir', ipam, '--net-config-path', at.netConfFile];
  return {
    at,
    pods,
    freeze: () => process.kill(agent.pid, 'SIGSTOP'),
    async walk(...args) {
      const env = { FLANNEL_LAB_PROGRAMS: at.folder };
      const { code, stdout, stderr } = await flannelctl(['walk', ...args, ...files], { env });
      return {
        code,
        lines: `${stdout}${stderr}`
          .trimEnd()
          .split('\n')
          .map((line) => line.trim()),
      };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const end = ({ code, lines }: { code: number; lines: string[] }) => [
  code,
  lines.find((line) => /^(ends here|arrives|leaves)/.test(line)),
];

const LEAVES_POD = [
  '1  pod 10.244.1.2 eth0      route default via 10.244.1.1 dev eth0: the frame goes to the MAC of 10.244.1.1',
  "2  node veth2               the node's end of the pod's cable, a port of cni0, for the bridge's own MAC: up to the node",
];

describeInNetns(import.meta.path, 'flannelctl walk', () => {
  test('to a pod of a peer, through the overlay, with the rules of nftables', async () => {
    await using stage = await scene('vxlan-nftables');
    expect(await stage.walk('2222', '10.244.2.7')).toEqual({
      code: 0,
      lines: [
        '10.244.1.2 → 10.244.2.7, 84 bytes',
        ...LEAVES_POD,
        '3  node, routing            10.244.2.0/24 via 10.244.2.0 dev flannel.1',
        'ip flannel-ipv4 forward rule 1: accepted (ip saddr 10.244.0.0/16 accept)',
        'ip flannel-ipv4 postrtg rule 2: the source stays (ip saddr 10.244.1.0/24 ip daddr 10.244.0.0/16 return)',
        "4  node flannel.1           neighbour 10.244.2.0 is ba:35:f7:c1:34:9a, the peer's VTEP; FDB: it is behind 192.168.50.12 (n2)",
        '5  node eth0                node route 192.168.50.0/24 dev eth0',
        'wrapped in UDP 8472 from 192.168.50.11 to 192.168.50.12, 134 bytes',
        'leaves this node by eth0 for n2, 192.168.50.12 (ARP will ask for it)',
        'The rest is to be seen on n2: flannelctl walk 10.244.1.2 10.244.2.7',
      ],
    });
  });

  test('to the outside, with the rules of iptables: masqueraded', async () => {
    await using stage = await scene('vxlan-iptables');
    expect(await stage.walk('10.244.1.2', '203.0.113.9')).toEqual({
      code: 0,
      lines: [
        '10.244.1.2 → 203.0.113.9, 84 bytes',
        ...LEAVES_POD,
        '3  node, routing            default via 192.168.50.1 dev eth0',
        'iptables-nft -t filter FLANNEL-FWD rule 1: accepted (-s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT)',
        'iptables-nft -t nat FLANNEL-POSTRTG rule 5: masqueraded, 10.244.1.2 becomes 192.168.50.11 (-s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully)',
        'leaves this node by eth0 for 192.168.50.1 (ARP will ask for it)',
      ],
    });
  });

  test('between pods, from a peer, from and to the node itself', async () => {
    await using stage = await scene('vxlan-nftables');
    const { walk } = stage;
    expect(end(await walk('10.244.1.2', '333'))).toEqual([0, 'arrives at container 33333333abcd']);
    expect(end(await walk('10.244.2.7', '333'))).toEqual([0, 'arrives at container 33333333abcd']);
    expect((await walk('10.244.2.7', '333')).lines[1]).toBe(
      '1  node flannel.1           packets of 10.244.2.7 (n2) come in here',
    );
    expect(end(await walk('222', 'n1'))).toEqual([0, "arrives at this node's own address 192.168.50.11"]);
    expect(end(await walk('222', '10.244.1.1'))).toEqual([
      0,
      "arrives at this node's own address 10.244.1.1",
    ]);
    expect(end(await walk('n1', '10.244.2.7'))).toEqual([
      0,
      'leaves this node by eth0 for n2, 192.168.50.12 (ARP will ask for it)',
    ]);
    expect(end(await walk('222', 'n2'))).toEqual([
      0,
      'leaves this node by eth0 for n2, 192.168.50.12 (ARP will ask for it)',
    ]);
    const json = await walk('222', '333', '-o', 'json');
    expect(JSON.parse(json.lines.join('\n'))).toMatchObject({
      from: '10.244.1.2',
      to: '10.244.1.3',
      size: 84,
      end: { outcome: 'arrives' },
    });
    const wrong = await walk('10.244.2.7', '10.244.3.7');
    expect(wrong).toEqual({
      code: 64,
      lines: [
        'flannelctl: neither 10.244.2.7 nor 10.244.3.7 is on this node',
        'Run it on the node of one of them, or begin with one of "flannelctl pods"',
      ],
    });
  });

  /** What is broken, and where the packet from 10.244.1.2 (unless another walk is given) to n2's pod then ends. */
  const FAULTS: readonly {
    plant: (stage: Scene) => void;
    says: string;
    ends?: readonly [string, string];
    more?: readonly string[];
  }[] = [
    {
      plant: () => must(['ip', 'route', 'del', '10.244.2.0/24']),
      says: '10.244.2.7 is a pod of n2, and this is not the planned way, 10.244.2.0/24 via 10.244.2.0 dev flannel.1',
    },
    {
      plant: () => must(['ip', 'neigh', 'del', '10.244.2.0', 'dev', 'flannel.1']),
      says: 'no neighbour 10.244.2.0 on flannel.1: the overlay has nobody who would answer ARP for it',
    },
    {
      plant: () =>
        must([
          'ip',
          'neigh',
          'replace',
          '10.244.2.0',
          'lladdr',
          '02:00:00:00:09:09',
          'nud',
          'permanent',
          'dev',
          'flannel.1',
        ]),
      says: 'no FDB entry of flannel.1 for 02:00:00:00:09:09: nobody knows where that MAC is',
    },
    {
      plant: () => {
        const [mac, device] = ['02:00:00:00:09:09', ['dev', 'flannel.1']] as const;
        must(['ip', 'neigh', 'replace', '10.244.2.0', 'lladdr', mac, 'nud', 'permanent', ...device]);
        must(['bridge', 'fdb', 'add', mac, 'dst', '192.168.50.12', 'self', ...device]);
      },
      says: "neighbour 10.244.2.0 is 02:00:00:00:09:09; n2's VTEP, which has 10.244.2.7, is ba:35:f7:c1:34:9a",
    },
    {
      plant: () => {
        const fdb = ['ba:35:f7:c1:34:9a', 'dst', '192.168.50.77', 'self', 'dev', 'flannel.1'];
        must(['bridge', 'fdb', 'replace', ...fdb]);
      },
      says: "FDB: ba:35:f7:c1:34:9a is behind 192.168.50.77, which is no node's; n2, which has 10.244.2.7, is at 192.168.50.12",
    },
    {
      plant: () => {
        const way = ['via', '10.244.9.0', 'dev', 'flannel.1', 'onlink'];
        must(['ip', 'route', 'replace', '10.244.2.0/24', ...way]);
      },
      says: '10.244.2.7 is a pod of n2, and this is not the planned way, 10.244.2.0/24 via 10.244.2.0 dev flannel.1',
    },
    { plant: () => must(['ip', 'link', 'set', 'flannel.1', 'down']), says: 'flannel.1 is down' },
    {
      plant: () => must(['ip', 'rule', 'add', 'from', '10.244.1.2', 'blackhole', 'pref', '100']),
      says: 'this node refuses this source and destination (EINVAL): a policy rule forbids them, or they are none that are forwarded',
    },
    {
      plant: () => {},
      says: '10.244.1.255 is a broadcast address: it is for everybody on the link and nobody beyond, and no one receiver can be followed',
      ends: ['222', '10.244.1.255'],
    },
    {
      plant: () => {},
      says: 'nobody has 10.244.1.98: it is not reserved, and nobody has been heard with it on cni0',
      ends: ['222', '10.244.1.98'],
    },
    {
      plant: () => must(['ip', 'link', 'set', 'flannel.1', 'mtu', '1300']),
      says: '1400 bytes do not fit MTU 1300 of flannel.1: only a packet that may be fragmented comes on',
      more: ['--size', '1400'],
    },
    {
      plant: () => {},
      says: '1451 bytes do not fit MTU 1450 of eth0: only a packet that may be fragmented comes on',
      more: ['--size', '1451'],
    },
    {
      plant: () => must(['ip', 'route', 'add', 'blackhole', '10.244.2.7/32']),
      says: 'a blocking route of this node takes it: blackhole 10.244.2.7/32',
    },
    {
      plant: () => must(['ip', 'route', 'add', 'prohibit', '10.244.2.7/32']),
      says: 'a blocking route of this node takes it: prohibit 10.244.2.7/32',
    },
    {
      plant: () => must(['sysctl', '-qw', 'net.ipv4.ip_forward=0']),
      says: 'this node does not forward ipv4 packets: net.ipv4.ip_forward is 0',
    },
    { plant: ({ pods }) => must(['ip', 'link', 'set', pods[0].veth, 'down']), says: 'eth0 has no carrier' },
    {
      plant: ({ pods }) => must(['ip', 'link', 'set', pods[0].veth, 'nomaster']),
      says: 'no port of cni0 leads to container 22222222abcd',
    },
    {
      plant: ({ pods }) => pods[0].netns.exec(['ip', 'route', 'del', 'default']),
      says: 'the pod 10.244.1.2 has no route to 10.244.2.7',
    },
    {
      plant: () => {},
      says: 'no node is known to have 10.244.77.7, and beyond eth0 nobody knows pods',
      ends: ['222', '10.244.77.7'],
    },
    {
      plant: () => {},
      says: 'nobody has reserved 10.244.1.99: no pod sends from it',
      ends: ['10.244.1.99', '10.244.2.7'],
    },
    {
      plant: () => {},
      says: 'nobody has 10.244.1.99: it is not reserved, and nobody has been heard with it',
      ends: ['10.244.2.7', '10.244.1.99'],
    },
    {
      plant: () =>
        must([
          'ip',
          'neigh',
          'replace',
          '10.244.1.3',
          'lladdr',
          '02:00:00:00:09:09',
          'nud',
          'permanent',
          'dev',
          'cni0',
        ]),
      says: 'this node takes 02:00:00:00:09:09 for the MAC of 10.244.1.3; the pod has 02:00:00:00:01:03',
      ends: ['10.244.2.7', '333'],
    },
    {
      plant: ({ pods }) => pods[1].netns.exec(['ip', 'addr', 'flush', 'dev', 'eth0']),
      says: 'container 33333333abcd has reserved 10.244.1.3, but eth0 in it has not that address',
      ends: ['222', '333'],
    },
    {
      plant: () => must(['ip', 'neigh', 'replace', '192.168.50.12', 'nud', 'failed', 'dev', 'eth0']),
      says: 'nobody answers ARP for 192.168.50.12 on eth0',
    },
  ];

  test('each fault ends the walk where it is, in words', async () => {
    for (const { plant, says, ends = ['222', '10.244.2.7'], more = [] } of FAULTS) {
      await using stage = await scene('vxlan-nftables');
      stage.freeze();
      plant(stage);
      // An agent that hangs costs three seconds per question: its files say the same.
      must(['rm', `${stage.at.folder}/run/agent.sock`]);
      expect(end(await stage.walk(...ends, ...more))).toEqual([1, `ends here: ${says}`]);
    }
  });

  test('without a plan it says so, and goes by the kernel alone', async () => {
    await using stage = await scene('vxlan-nftables');
    stage.freeze();
    must(['rm', `${stage.at.folder}/run/agent.sock`, `${stage.at.folder}/run/last-known`]);
    const { code, lines } = await stage.walk('222', '10.244.2.7');
    expect([code, lines[0]]).toEqual([
      0,
      expect.stringMatching(/^no plan: no agent runs .*: names of peers and planned ways are not known$/),
    ]);
    expect(lines.at(-1)).toBe('leaves this node by eth0 for 192.168.50.12 (ARP will ask for it)');
  });

  test('what another firewall drops, and rules that are not ours, are told', async () => {
    await using stage = await scene('vxlan-nftables');
    must(['nft', 'add', 'table', 'ip', 'wall']);
    must([
      'nft',
      'add',
      'chain',
      'ip',
      'wall',
      'FORWARD',
      '{ type filter hook forward priority 0; policy drop; }',
    ]);
    stage.freeze();
    must(['rm', `${stage.at.folder}/run/agent.sock`]);
    const wall = 'chain FORWARD of table ip wall';
    expect(end(await stage.walk('222', '10.244.2.7'))).toEqual([
      1,
      `ends here: ${wall} drops it by its policy: no rule in it accepts it`,
    ]);
    must(['nft', 'add', 'rule', 'ip', 'wall', 'FORWARD', 'ip', 'daddr', '10.244.2.0/25', 'counter', 'drop']);
    expect(end(await stage.walk('222', '10.244.2.7'))).toEqual([
      1,
      `ends here: ${wall} drops it: ip daddr 10.244.2.0/25 drop`,
    ]);
    must(['nft', 'insert', 'rule', 'ip', 'wall', 'FORWARD', 'oifname', 'flannel.1', 'accept']);
    expect(end(await stage.walk('222', '10.244.2.7'))[0]).toBe(0);
    must(['nft', 'flush', 'chain', 'ip', 'wall', 'FORWARD']);
    must(['nft', 'add', 'rule', 'ip', 'wall', 'FORWARD', 'tcp', 'dport', '80', 'accept']);
    must(['nft', 'insert', 'rule', 'ip', 'flannel-ipv4', 'postrtg', 'tcp', 'dport', '80', 'drop']);
    const { lines } = await stage.walk('222', '10.244.2.7');
    expect(lines).toContain('chain FORWARD of table ip wall drops what it does not accept itself');
    expect(lines).toContain(
      "ip flannel-ipv4 postrtg rule 3: the source stays (ip saddr 10.244.1.0/24 ip daddr 10.244.0.0/16 return); rules 1 before it are not flanneld's and not judged",
    );
    must(['nft', 'delete', 'table', 'ip', 'flannel-ipv4']);
    const bare = await stage.walk('222', '203.0.113.9');
    expect(bare.lines).toContain('no masquerade rule of flanneld: the source stays');
    expect(bare.lines).toContain('no forward rule of flanneld: what others forbid is forbidden');
  });

  test('a service is not followed, and one receiver is', async () => {
    await using stage = await scene('vxlan-nftables');
    must(['nft', 'add', 'table', 'ip', 'kube']);
    must(['nft', 'add', 'chain', 'ip', 'kube', 'pre', '{ type nat hook prerouting priority dstnat; }']);
    const rule = ['ip', 'daddr', '10.96.0.10', 'tcp', 'dport', '80', 'dnat', 'to', '10.244.2.7:8080'];
    must(['nft', 'add', 'rule', 'ip', 'kube', 'pre', ...rule]);
    expect((await stage.walk('222', '10.96.0.10')).lines).toEqual([
      'flannelctl: 10.96.0.10 is a service: chain pre of table ip kube sends its packets to one of its pods',
      'Give the address of such a pod (kubectl get endpointslices --all-namespaces)',
    ]);
    expect(end(await stage.walk('222', '10.96.0.11'))[0]).toBe(0);
    expect((await stage.walk('222', '224.0.0.1')).lines).toEqual([
      'flannelctl: 224.0.0.1 is a multicast address: a walk leads from one place to one other',
    ]);
    run(['nft', 'delete', 'table', 'ip', 'kube']);
  });

  test('with a captured packet: seen where the dry walk says', async () => {
    await using stage = await scene('vxlan-nftables');
    const places = (lines: string[]) => lines.flatMap((line) => /^\d+ {2}(\S.*?) {2,}/.exec(line)?.[1] ?? []);
    const near = await stage.walk('222', '333', '--capture');
    expect(places(near.lines)).toEqual([
      'pod 10.244.1.2 eth0 out',
      'node veth2 in',
      'node veth3 out',
      'pod 10.244.1.3 eth0 in',
    ]);
    expect([near.code, near.lines.at(-1)]).toEqual([
      0,
      'arrived at pod 10.244.1.3 eth0, and there was an answer',
    ]);
    must([
      'ip',
      'neigh',
      'replace',
      '192.168.50.12',
      'lladdr',
      '02:00:00:00:50:12',
      'nud',
      'permanent',
      'dev',
      'eth0',
    ]);
    const far = await stage.walk('222', '10.244.2.7', '--capture');
    expect(places(far.lines)).toEqual([
      'pod 10.244.1.2 eth0 out',
      'node veth2 in',
      'node cni0 in',
      'node flannel.1 out',
      'node eth0 out',
      'node wire in',
    ]);
    expect(far.lines.join('\n')).toContain('so it is wrapped in UDP 8472 (50 bytes more) and leaves by');
    const sized = await stage.walk('222', '10.244.2.7', '--capture', '--size', '1000');
    expect([sized.code, sized.lines[0]]).toEqual([
      64,
      'flannelctl: --size: is of the walk that sends nothing',
    ]);
    const dead = await stage.walk('10.244.2.7', '222', '--capture');
    expect(dead).toMatchObject({
      code: 64,
      lines: [
        'flannelctl: no packet can be sent from 10.244.2.7 here',
        expect.stringContaining('one of its pods'),
      ],
    });
  });
});
