import { ErrnoError } from '#base/errors.ts';
import { Netns, unshareNetns, withNetns } from '#ffi/netns.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import * as nft from '#nftables/build.ts';
import { Nftables } from '#nftables/connection.ts';
import { PRIORITY, type Table } from '#nftables/objects.ts';
import { Rtnetlink } from '#rtnetlink/client.ts';
import { NotAsked } from '../finding.ts';

/** A feature of the kernel, tried out. */
export interface KernelTrial {
  readonly name: 'vxlan' | 'bridge' | 'veth' | 'nftables';
  readonly why: string;
  readonly cure: string;
  /** Makes it in a network namespace that nobody else sees and that goes at once. Throws what the kernel answers. */
  readonly run: () => void;
}

/** Everything that the agent and the plugins make in the kernel, as small as it can be. */
export function kernelTrials(): readonly KernelTrial[] {
  return [
    {
      name: 'vxlan',
      why: 'the vxlan backend makes a device of this kind; without it nodes cannot be connected',
      cure: 'modprobe vxlan; echo vxlan > /etc/modules-load.d/flannel.conf',
      run: () => elsewhere(makeVxlan),
    },
    {
      name: 'bridge',
      why: 'the pods of a node hang on a bridge',
      cure: 'modprobe bridge; echo bridge >> /etc/modules-load.d/flannel.conf',
      run: () => elsewhere(() => makeLink({ type: 'bridge' })),
    },
    {
      name: 'veth',
      why: 'every pod is connected by a pair of these devices',
      cure: 'modprobe veth; echo veth >> /etc/modules-load.d/flannel.conf',
      run: () => elsewhere(() => makeLink({ type: 'veth', peer: { name: 'doctor1' } })),
    },
    {
      name: 'nftables',
      why: 'with EnableNFTables the agent writes its rules (masquerading, forwarding) there, and portmap its own',
      cure: 'modprobe -a nf_tables nft_chain_nat nft_masq nft_fib_inet, or set EnableNFTables to false',
      run: () => elsewhere(makeRules),
    },
  ];
}

/** In a fresh network namespace: what is made there is gone when this thread is back. Throws NotAsked where none can be made. */
function elsewhere(work: () => void): void {
  using home = Netns.current();
  mayMove(() => withNetns(home, () => {}));
  withNetns(home, () => {
    mayMove(unshareNetns);
    work();
  });
}

/** In the agent's own pod, for instance, nobody may: it has no CAP_SYS_ADMIN, and needs none. */
function mayMove(move: () => void): void {
  try {
    move();
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    throw new NotAsked(`there is no network namespace to try it in (${error.message}); run it on the host`);
  }
}

function makeVxlan(): void {
  const local = Ip.parse('127.0.0.1');
  makeLink({ type: 'vxlan', vni: 1, port: 8472, learning: false, local });
}

function makeLink(kind: Parameters<Rtnetlink['createLink']>[0]['kind']): void {
  using net = Rtnetlink.open();
  net.createLink({ name: 'doctor0', kind });
}

/** A masquerading rule, a translating one that asks the fib, and an accepting one. */
function makeRules(): void {
  const source = nft.saddr('==', Cidr.parse('10.244.0.0/16'));
  const table: Table = {
    family: 'ip',
    name: 'flannel-doctor',
    chains: [
      {
        name: 'postrtg',
        hook: { type: 'nat', point: 'postrouting', priority: PRIORITY.srcnat, policy: 'accept' },
        rules: [nft.rule([source, nft.masquerade({ fullyRandom: true })])],
      },
      {
        name: 'hostports',
        hook: { type: 'nat', point: 'prerouting', priority: PRIORITY.dstnat, policy: 'accept' },
        rules: [nft.rule([nft.fibDaddrLocal(), nft.dport('tcp', 80), nft.dnat(Ip.parse('10.244.1.2'), 80)])],
      },
      {
        name: 'forward',
        hook: { type: 'filter', point: 'forward', priority: PRIORITY.filter, policy: 'accept' },
        rules: [nft.rule([source, nft.accept])],
      },
    ],
  };
  using nftables = Nftables.open();
  nftables.replace(table);
}
