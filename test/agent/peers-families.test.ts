import { expect, test } from 'bun:test';
import { AgentWorld, peerAnnotations, prefixed, PREFIX, type PeerSpec } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { KernelReports } from '../support/kernel-reports.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const V4 = '"Network":"10.244.0.0/16"';
const V6 = '"EnableIPv6":true,"IPv6Network":"2001:cafe:42::/56"';
const REST = '"EnableNFTables":true,"Backend":{"Type":"vxlan"}';
const KINDS = {
  ipv4: { conf: `{${V4},${REST}}`, devices: ['flannel.1'], own: ['10.244.1.0/24'] },
  ipv6: {
    conf: `{"EnableIPv4":false,${V6},${REST}}`,
    devices: ['flannel-v6.1'],
    own: ['2001:cafe:42:1::/64'],
  },
  dual: {
    conf: `{${V4},${V6},${REST}}`,
    devices: ['flannel.1', 'flannel-v6.1'],
    own: ['10.244.1.0/24', '2001:cafe:42:1::/64'],
  },
} as const;
type Kind = keyof typeof KINDS;

interface Peer {
  readonly number: number;
  readonly mac: string;
  readonly ip: string;
  readonly mac6: string;
  readonly ip6: string;
}

const P2: Peer = {
  number: 2,
  mac: '02:00:00:00:02:04',
  ip: '192.168.50.12',
  mac6: '02:00:00:00:02:06',
  ip6: 'fd50::12',
};
const P3: Peer = {
  number: 3,
  mac: '02:00:00:00:03:04',
  ip: '192.168.50.13',
  mac6: '02:00:00:00:03:06',
  ip6: 'fd50::13',
};

function specOf(kind: Kind, { number, mac, ip, mac6, ip6 }: Peer): PeerSpec {
  const cidrs = [`10.244.${number}.0/24`, `2001:cafe:42:${number}::/64`];
  const podCidrs = kind === 'dual' ? cidrs : cidrs.slice(kind === 'ipv4' ? 0 : 1).slice(0, 1);
  return { podCidrs, publicIp: ip, mac, publicIp6: ip6, mac6 };
}

/** Routes, neighbours and FDB entries of the overlay, one a line, sorted. */
function entries(kind: Kind): string[] {
  const state = overlayState(KINDS[kind].devices);
  const lines = Object.entries(state)
    .filter(([key]) => /^(route|neigh|fdb)/.test(key))
    .flatMap(([, text]) => text.split('\n'));
  const wanted = lines.filter((line) => /onlink|PERMANENT|permanent/.test(line));
  return [...new Set(wanted.map((line) => line.replaceAll(/ (metric \d+|pref medium)/g, '').trim()))].sort();
}

function entriesOf(kind: Kind, ...peers: readonly Peer[]): string[] {
  const v4 = ({ number, mac, ip }: Peer) => [
    `10.244.${number}.0/24 via 10.244.${number}.0 dev flannel.1 onlink`,
    `10.244.${number}.0 lladdr ${mac} PERMANENT`,
    `${mac} dst ${ip} self permanent`,
  ];
  const v6 = ({ number, mac6, ip6 }: Peer) => [
    `2001:cafe:42:${number}::/64 via 2001:cafe:42:${number}:: dev flannel-v6.1 onlink`,
    `2001:cafe:42:${number}:: lladdr ${mac6} PERMANENT`,
    `${mac6} dst ${ip6} self permanent`,
  ];
  const both = (peer: Peer) => [...(kind === 'ipv6' ? [] : v4(peer)), ...(kind === 'ipv4' ? [] : v6(peer))];
  return peers.flatMap(both).sort();
}

async function worldOf(kind: Kind): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf: KINDS[kind].conf });
  world.addNode('n1', { podCidrs: KINDS[kind].own });
  return world;
}

describeInNetns(import.meta.path, 'peers of each family', () => {
  for (const kind of ['ipv4', 'ipv6', 'dual'] as const) {
    test(`${kind}: added, changed in every respect, removed, made anew under the same name`, async () => {
      await using world = await worldOf(kind);
      await using agent = await world.startReady();
      const become = (...peers: readonly Peer[]) =>
        eventually(() => expect(entries(kind)).toEqual(entriesOf(kind, ...peers)));
      world.addPeer('n2', specOf(kind, P2));
      world.addPeer('n3', specOf(kind, P3));
      await become(P2, P3);
      const changes: readonly Peer[] = [
        { ...P2, mac: '02:00:00:00:12:04', mac6: '02:00:00:00:12:06' },
        { ...P2, ip: '192.168.77.2', ip6: 'fd77::2' },
        { ...P2, mac: '02:00:00:00:22:04', mac6: '02:00:00:00:22:06', ip: '192.168.77.3', ip6: 'fd77::3' },
      ];
      for (const changed of changes) {
        world.annotate('n2', peerAnnotations(specOf(kind, changed)));
        await become(changed, P3);
      }
      world.api.nodes.delete('n2');
      await become(P3);
      // Everything is another, and the Node is there again before anybody has looked.
      world.addPeer('n2', specOf(kind, P2));
      world.api.nodes.delete('n2');
      const renewed = {
        ...P2,
        number: 9,
        mac: '02:00:00:00:99:04',
        mac6: '02:00:00:00:99:06',
        ip: '192.168.50.19',
        ip6: 'fd50::19',
      };
      world.addPeer('n2', specOf(kind, renewed));
      await become(P3, renewed);
      // One takes over the subnet, MAC and address of another that goes in the same moment.
      world.api.nodes.delete('n2');
      world.api.nodes.delete('n3');
      world.addPeer('n4', specOf(kind, renewed));
      await become(renewed);
      world.api.nodes.delete('n4');
      await become();
      expect(agent.count('repaired')).toBe(0);
      expect(agent.count('ERROR')).toBe(0);
    });
  }

  test('dual stack: a change of one family leaves the other one alone', async () => {
    await using world = await worldOf('dual');
    world.addPeer('n2', specOf('dual', P2));
    await using agent = await world.startReady();
    await eventually(() => expect(must(['ip', '-6', 'addr'])).not.toContain('tentative'));
    await using reports = new KernelReports();
    await reports.working();
    const changes = [
      {
        changed: { ...P2, mac6: '02:00:00:00:12:06', ip6: 'fd77::2' },
        other: /10\.244\.|02:04|flannel\.1/,
      },
      {
        changed: { ...P2, mac: '02:00:00:00:12:04', ip: '192.168.77.2' },
        other: /2001:cafe|02:06|flannel-v6/,
      },
    ];
    for (const { changed, other } of changes) {
      world.annotate('n2', peerAnnotations(specOf('dual', P2)));
      await eventually(() => expect(entries('dual')).toEqual(entriesOf('dual', P2)));
      await Bun.sleep(100);
      const seen = reports.lines().length;
      world.annotate('n2', peerAnnotations(specOf('dual', changed)));
      await eventually(() => expect(entries('dual')).toEqual(entriesOf('dual', changed)));
      await eventually(() => expect(reports.lines().length).toBeGreaterThan(seen));
      await Bun.sleep(100);
      expect(
        reports
          .lines()
          .slice(seen)
          .filter((line) => other.test(line)),
      ).toEqual([]);
    }
    expect(agent.count('ERROR')).toBe(0);
  });

  test('dual stack: one family goes, is hostile, comes back; the other one works on', async () => {
    await using world = await worldOf('dual');
    world.addPeer('n2', specOf('dual', P2));
    await using agent = await world.startReady();
    const become = (kind: Kind) => eventually(() => expect(entries('dual')).toEqual(entriesOf(kind, P2)));
    await become('dual');
    world.annotate('n2', prefixed({ 'public-ipv6': '::1' }));
    await become('ipv4');
    world.annotate('n2', prefixed({ 'public-ipv6': P2.ip6 }));
    await become('dual');
    world.annotate('n2', prefixed({ 'backend-data': '{"VtepMAC":"ff:ff:ff:ff:ff:ff"}' }));
    await become('ipv6');
    world.annotate('n2', peerAnnotations(specOf('dual', P2)));
    await become('dual');
    world.api.nodes.update('n2', (node) => {
      delete node.metadata.annotations?.[`${PREFIX}/public-ipv6`];
    });
    await become('ipv4');
    world.api.nodes.update('n2', (node) => {
      node.spec = { podCIDR: '2001:cafe:42:2::/64', podCIDRs: ['2001:cafe:42:2::/64'] };
      node.metadata.annotations = { ...node.metadata.annotations, ...peerAnnotations(specOf('dual', P2)) };
    });
    await become('ipv6');
    expect(agent.count('ERROR')).toBe(0);
  });

  test('two nodes with one public address: said with both names, and both are kept', async () => {
    await using world = await worldOf('dual');
    world.addPeer('n2', specOf('dual', P2));
    await using agent = await world.startReady();
    const twin = { ...P3, ip: P2.ip, ip6: P2.ip6 };
    world.addPeer('n3', specOf('dual', twin));
    await eventually(() => expect(entries('dual')).toEqual(entriesOf('dual', P2, twin)));
    await eventually(() => {
      expect(agent.log).toContain(
        'peers publish the same public address address=192.168.50.12 peers="n2, n3"',
      );
      expect(agent.log).toContain('peers publish the same public address address=fd50::12 peers="n2, n3"');
    });
    world.annotate('n3', { unrelated: '1' });
    world.annotate('n3', peerAnnotations(specOf('dual', P3)));
    await eventually(() => expect(entries('dual')).toEqual(entriesOf('dual', P2, P3)));
    expect(agent.count('the same public address')).toBe(2);
  });

  test('two nodes with one pod subnet and one MAC: the first by name, in both families, in any order', async () => {
    for (const order of [
      ['n2', 'n3'],
      ['n3', 'n2'],
    ] as const) {
      await using world = await worldOf('dual');
      const twins = { n2: P2, n3: { ...P3, number: 2, mac: P2.mac, mac6: P2.mac6 } };
      await using agent = await world.startReady();
      for (const name of order) world.addPeer(name, specOf('dual', twins[name]));
      await eventually(() => expect(entries('dual')).toEqual(entriesOf('dual', twins.n2)));
      await eventually(() => expect(agent.log).toContain('winner=n2 loser=n3'));
      expect(agent.log).not.toContain('winner=n3');
      world.api.nodes.delete('n2');
      await eventually(() => expect(entries('dual')).toEqual(entriesOf('dual', twins.n3)));
    }
  });
});
