import { expect, test } from 'bun:test';
import { copyFileSync } from 'node:fs';
import type { AgentStart } from '../support/agent-process.ts';
import { AgentWorld, prefixed, vxlanData } from '../support/agent-world.ts';
import { describeInNetns, measured, must, NamedNetns } from '../support/netns.ts';

const BUILT = `${import.meta.dir}/../../dist/bin/flannel`;
const SENDER = `${import.meta.dir}/../support/udp-sender.ts`;
const PORT = 9000;
const PER_SECOND = 1000;
const MACS = { n1: '02:00:00:00:01:01', n2: '02:00:00:00:02:02' };

interface Family {
  readonly name: 'ipv4' | 'ipv6';
  readonly nft: 'ip' | 'ip6';
  /** Address of a pod of n1 and n2. */
  readonly pods: readonly [string, string];
}

const IPV4: Family = { name: 'ipv4', nft: 'ip', pods: ['10.244.1.2', '10.244.2.2'] };
const IPV6: Family = { name: 'ipv6', nft: 'ip6', pods: ['2001:cafe:42:1::2', '2001:cafe:42:2::2'] };

const BACKENDS: Readonly<Record<string, object>> = {
  vxlan: { Type: 'vxlan' },
  'vxlan with DirectRouting': { Type: 'vxlan', DirectRouting: true },
  'host-gw': { Type: 'host-gw' },
};

/** n2 as another node has it: in a namespace of its own, set up by hand. */
function makePeer(peer: NamedNetns, tunnel: boolean): void {
  const ip = (...args: string[]) => peer.exec(['ip', ...args]);
  must(['ip', 'link', 'set', 'wire', 'netns', peer.name]);
  ip('link', 'set', 'lo', 'up');
  ip('addr', 'add', '192.168.50.12/24', 'dev', 'wire');
  ip('addr', 'add', 'fd50::12/64', 'dev', 'wire', 'nodad');
  ip('link', 'set', 'wire', 'up');
  for (const pod of [IPV4.pods[1], IPV6.pods[1]]) ip('addr', 'add', pod, 'dev', 'lo');
  if (!tunnel) {
    ip('route', 'add', '10.244.1.0/24', 'via', '192.168.50.11');
    ip('route', 'add', '2001:cafe:42:1::/64', 'via', 'fd50::11');
    return;
  }
  for (const [device, local, remote, gateway, subnet] of [
    ['flannel.1', '192.168.50.12', '192.168.50.11', '10.244.1.0', '10.244.1.0/24'],
    ['flannel-v6.1', 'fd50::12', 'fd50::11', '2001:cafe:42:1::', '2001:cafe:42:1::/64'],
  ] as const) {
    const port = ['dstport', '8472', 'nolearning'];
    ip(
      'link',
      'add',
      device,
      'address',
      MACS.n2,
      'type',
      'vxlan',
      'id',
      '1',
      'local',
      local,
      'dev',
      'wire',
      ...port,
    );
    ip('link', 'set', device, 'up');
    ip('neigh', 'add', gateway, 'lladdr', MACS.n1, 'dev', device, 'nud', 'permanent');
    peer.exec(['bridge', 'fdb', 'add', MACS.n1, 'dst', remote, 'dev', device]);
    ip('route', 'add', subnet, 'via', gateway, 'dev', device, 'onlink');
  }
}

/** Counts what arrives at the port, in the kernel: a receiver that is slow does not make it less. */
class Counter {
  readonly #enter: readonly string[];
  readonly #family: Family;

  constructor(enter: readonly string[], family: Family) {
    this.#enter = enter;
    this.#family = family;
    const table = [family.nft, 'arrived'];
    this.#nft('add', 'table', ...table);
    this.#nft('add', 'chain', ...table, 'in', '{ type filter hook input priority 0; }');
    this.#nft('add', 'rule', ...table, 'in', 'udp', 'dport', String(PORT), 'counter', 'drop');
  }

  get packets(): number {
    const text = this.#nft('list', 'table', this.#family.nft, 'arrived');
    return Number(/counter packets (\d+)/.exec(text)?.[1]);
  }

  #nft(...args: string[]): string {
    return must([...this.#enter, 'nft', ...args]);
  }
}

class Sender {
  readonly #child: Bun.Subprocess<'ignore', 'pipe', 'inherit'>;

  constructor(enter: readonly string[], from: string, to: string) {
    const argv = [process.execPath, SENDER, from, to, String(PORT), String(PER_SECOND)];
    this.#child = Bun.spawn([...enter, ...argv], { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' });
  }

  /** Ends it; how many packets it has sent. */
  async stop(): Promise<number> {
    this.#child.kill('SIGTERM');
    return Number(await new Response(this.#child.stdout).text());
  }
}

/** Packets in both directions and both families; on `stop` sent and arrived of each. */
function startStreams(peer: NamedNetns): { stop(): Promise<{ sent: number; arrived: number }[]> } {
  const there = ['ip', 'netns', 'exec', peer.name];
  const streams = [IPV4, IPV6].flatMap((family) => {
    const [own, other] = family.pods;
    return [
      { counter: new Counter(there, family), sender: new Sender([], own, other) },
      { counter: new Counter([], family), sender: new Sender(there, other, own) },
    ];
  });
  return {
    async stop() {
      const sent = await Promise.all(streams.map(({ sender }) => sender.stop()));
      await Bun.sleep(200);
      return streams.map(({ counter }, at) => ({ sent: sent[at] ?? -1, arrived: counter.packets }));
    },
  };
}

describeInNetns(import.meta.path, 'a restart loses no packet', () => {
  for (const [name, backend] of Object.entries(BACKENDS)) {
    test(name, async () => {
      using peer = NamedNetns.create('restart');
      await using world = await AgentWorld.create({
        netConf: JSON.stringify({
          Network: '10.244.0.0/16',
          EnableIPv6: true,
          IPv6Network: '2001:cafe:42::/56',
          EnableNFTables: true,
          Backend: backend,
        }),
      });
      const type = name === 'host-gw' ? 'host-gw' : 'vxlan';
      makePeer(peer, name === 'vxlan');
      const annotations = (mac: string) => {
        const data = type === 'vxlan' ? vxlanData(mac) : 'null';
        return { 'backend-type': type, 'backend-data': data, 'backend-v6-data': data };
      };
      world.addNode('n1', {
        podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'],
        annotations: prefixed(annotations(MACS.n1)),
      });
      world.addNode('n2', {
        podCidrs: ['10.244.2.0/24', '2001:cafe:42:2::/64'],
        annotations: prefixed({
          'kube-subnet-manager': 'true',
          'public-ip': '192.168.50.12',
          'public-ipv6': 'fd50::12',
          ...annotations(MACS.n2),
        }),
      });
      for (const pod of [IPV4.pods[0], IPV6.pods[0]]) must(['ip', 'addr', 'add', pod, 'dev', 'lo']);
      const upgrade = `${world.folder}/flanneld`;
      copyFileSync(BUILT, upgrade);
      const first = await world.startReady();
      for (const pods of [IPV4.pods, IPV6.pods]) must(['ping', '-c', '1', '-W', '5', '-I', pods[0], pods[1]]);
      const streams = startStreams(peer);
      let agent = first;
      const restarts: readonly (readonly ['SIGTERM' | 'SIGKILL', Pick<AgentStart, 'command'>])[] = [
        ['SIGTERM', {}],
        ['SIGKILL', {}],
        ['SIGTERM', { command: [upgrade] }],
        ['SIGKILL', {}],
      ];
      for (const [signal, next] of restarts) {
        await Bun.sleep(300);
        await agent.stop(signal);
        await Bun.sleep(100);
        agent = await world.startReady([], next);
      }
      await Bun.sleep(300);
      const results = await streams.stop();
      for (const { sent, arrived } of results) {
        expect(sent).toBeGreaterThan(PER_SECOND);
        expect(arrived).toBe(sent);
      }
      measured(`${name}: ${results.map(({ sent }) => sent).join(', ')} packets over 4 restarts, none lost`);
      await agent.stop('SIGTERM');
      for (const pod of [IPV4.pods[0], IPV6.pods[0]]) must(['ip', 'addr', 'del', pod, 'dev', 'lo']);
    });
  }
});
