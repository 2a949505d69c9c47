import { expect, test } from 'bun:test';
import {
  AgentWorld,
  N2,
  peerAnnotations,
  prefixed,
  vxlanData,
  type PeerSpec,
} from '../support/agent-world.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');
const N3: PeerSpec = {
  podCidrs: ['10.244.3.0/24'],
  publicIp: '192.168.50.13',
  mac: '02:00:00:00:03:03',
};

async function worldWithN1(netConf = NFT): Promise<AgentWorld> {
  const world = await AgentWorld.create({ netConf });
  world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  return world;
}

/** Routes, neighbours and FDB of the overlay, as lines. */
function entries(): { route: string; neigh: string; fdb: string } {
  const state = overlayState(['flannel.1']);
  return {
    route: state['route'] ?? '',
    neigh: state['neigh-flannel.1'] ?? '',
    fdb: state['fdb-flannel.1'] ?? '',
  };
}

function entriesOf(...peers: readonly PeerSpec[]): { route: string; neigh: string; fdb: string } {
  const lines = (line: (peer: PeerSpec, first: string) => string) =>
    peers
      .map((peer) => line(peer, (peer.podCidrs[0] ?? '').replace(/\/\d+$/, '')))
      .sort()
      .join('\n');
  return {
    route: lines((peer, first) => `${peer.podCidrs[0]} via ${first} dev flannel.1 onlink`),
    neigh: lines((peer, first) => `${first} lladdr ${peer.mac} PERMANENT`),
    fdb: lines((peer) => `${peer.mac} dst ${peer.publicIp} self permanent`),
  };
}

describeInNetns(import.meta.path, 'peers come, change and go', () => {
  test('added, changed in every respect, removed, made anew', async () => {
    await using world = await worldWithN1();
    await using agent = await world.startReady();
    expect(entries()).toEqual({ route: '', neigh: '', fdb: '' });
    world.addPeer('n2', N2);
    const took = await timeUntil(() => expect(entries()).toEqual(entriesOf(N2)));
    expect(took).toBeLessThan(AT_ONCE);
    world.addPeer('n3', N3);
    await eventually(() => expect(entries()).toEqual(entriesOf(N2, N3)));
    const changes: readonly PeerSpec[] = [
      { ...N2, mac: '02:00:00:00:02:99' },
      { ...N2, publicIp: '192.168.77.2' },
      { ...N2, mac: '02:00:00:00:02:98', publicIp: '192.168.77.3' },
    ];
    for (const changed of changes) {
      world.annotate('n2', peerAnnotations(changed));
      await eventually(() => expect(entries()).toEqual(entriesOf(changed, N3)));
    }
    // Another pod subnet needs another Node.
    world.api.nodes.delete('n2');
    await eventually(() => expect(entries()).toEqual(entriesOf(N3)));
    const moved = { ...N2, podCidrs: ['10.244.9.0/24'] };
    world.addPeer('n2', moved);
    await eventually(() => expect(entries()).toEqual(entriesOf(N3, moved)));
    world.api.nodes.update('n2', (node) => {
      node.spec = { podCIDR: '10.244.10.0/24', podCIDRs: ['10.244.10.0/24'] };
    });
    const again = { ...N2, podCidrs: ['10.244.10.0/24'] };
    await eventually(() => expect(entries()).toEqual(entriesOf(N3, again)));
    world.api.nodes.delete('n2');
    world.api.nodes.delete('n3');
    await eventually(() => expect(entries()).toEqual({ route: '', neigh: '', fdb: '' }));
    expect(agent.count('repaired')).toBe(0);
    expect(agent.count('ERROR')).toBe(0);
  });

  test('a node that is not one of Flannel, and one that becomes it', async () => {
    await using world = await worldWithN1();
    await using agent = await world.startReady();
    world.addNode('n2', { podCidrs: ['10.244.2.0/24'] });
    world.addPeer('n3', N3);
    await eventually(() => expect(entries()).toEqual(entriesOf(N3)));
    world.annotate('n2', peerAnnotations(N2));
    await eventually(() => expect(entries()).toEqual(entriesOf(N2, N3)));
    world.annotate('n2', prefixed({ 'kube-subnet-manager': 'false' }));
    await eventually(() => expect(entries()).toEqual(entriesOf(N3)));
    expect(agent.count('ERROR')).toBe(0);
  });

  test('two nodes with one pod subnet: the first by name has it, the other takes over', async () => {
    await using world = await worldWithN1();
    await using agent = await world.startReady();
    const twin = { ...N3, podCidrs: N2.podCidrs };
    world.addPeer('n3', twin);
    await eventually(() => expect(entries()).toEqual(entriesOf(twin)));
    world.addPeer('n2', N2);
    const contested = { ...entriesOf(N2), fdb: entriesOf(N2, twin).fdb };
    await eventually(() => expect(entries()).toEqual(contested));
    await eventually(() => expect(agent.count('two peers claim the same thing')).toBe(1));
    await eventually(() => expect(agent.log).toContain('what="pod subnet 10.244.2.0/24" winner=n2 loser=n3'));
    world.api.nodes.delete('n2');
    await eventually(() => expect(entries()).toEqual(entriesOf(twin)));
  });

  test('direct routing: on the underlay a plain route, behind a router the tunnel, and back', async () => {
    await using world = await worldWithN1(
      '{"Network":"10.244.0.0/16","EnableNFTables":true,"Backend":{"Type":"vxlan","DirectRouting":true}}',
    );
    await using agent = await world.startReady();
    world.addPeer('n2', N2);
    const direct = { route: '10.244.2.0/24 via 192.168.50.12 dev eth0', neigh: '', fdb: '' };
    await eventually(() => expect(entries()).toEqual(direct));
    const far = { ...N2, publicIp: '192.168.77.2' };
    world.annotate('n2', peerAnnotations(far));
    await eventually(() => expect(entries()).toEqual(entriesOf(far)));
    world.annotate('n2', peerAnnotations(N2));
    await eventually(() => expect(entries()).toEqual(direct));
    must(['ip', 'route', 'delete', '10.244.2.0/24']);
    expect(await timeUntil(() => expect(entries()).toEqual(direct))).toBeLessThan(AT_ONCE);
    // What goes while the agent is away is removed by the next one: the route's only mark is the record.
    await agent.stop('SIGKILL');
    must(['ip', 'route', 'add', '10.244.7.0/24', 'via', '192.168.50.17']);
    world.api.nodes.delete('n2');
    await using next = await world.startReady();
    expect(entries()).toEqual({ route: '10.244.7.0/24 via 192.168.50.17 dev eth0', neigh: '', fdb: '' });
    expect(next.count('ERROR')).toBe(0);
  });

  test('hostile annotations harm nobody but their node', async () => {
    await using world = await worldWithN1();
    const own = world.api.nodes.get('n1');
    expect(own).toBeDefined();
    await using agent = await world.startReady();
    const ownMac = /VtepMAC":"([^"]+)"/.exec(world.annotation('n1', 'backend-data') ?? '')?.[1] ?? '';
    const hostile: readonly Readonly<Record<string, string>>[] = [
      { 'backend-data': 'null' },
      { 'backend-data': '' },
      { 'backend-data': '{"VtepMAC":' },
      { 'backend-data': '[]' },
      { 'backend-data': vxlanData('ff:ff:ff:ff:ff:ff') },
      { 'backend-data': vxlanData('00:00:00:00:00:00') },
      { 'backend-data': vxlanData('01:00:5e:00:00:01') },
      { 'backend-data': vxlanData(ownMac) },
      { 'backend-data': `{"VtepMAC":"${'a'.repeat(5000)}"}` },
      { 'backend-data': '['.repeat(4000) },
      { 'public-ip': '127.0.0.1' },
      { 'public-ip': '0.0.0.0' },
      { 'public-ip': '224.0.0.1' },
      { 'public-ip': '255.255.255.255' },
      { 'public-ip': '192.168.50.11' },
      { 'public-ip': '10.244.66.7' },
      { 'public-ip': 'fd50::12' },
      { 'public-ip': '192.168.50.12; rm -rf /' },
      { 'backend-type': 'host-gw' },
      { 'backend-type': '../../etc\n\u001b[31m' },
    ];
    for (const [at, annotations] of hostile.entries()) {
      const good = peerAnnotations({ ...N2, mac: `02:00:00:00:66:${String(at).padStart(2, '0')}` });
      world.addNode(`bad${at}`, {
        podCidrs: ['10.244.66.0/24'],
        annotations: { ...good, ...prefixed(annotations) },
      });
    }
    const subnets = [
      '10.244.1.0/24',
      '10.244.0.0/16',
      '10.99.0.0/24',
      '0.0.0.0/0',
      'x',
      '::/0',
      '10.244.300.0/24',
    ];
    for (const [at, podCidr] of subnets.entries()) {
      world.addNode(`worse${at}`, { podCidrs: [podCidr], annotations: peerAnnotations(N3) });
    }
    world.addPeer('n2', N2);
    await eventually(() => expect(entries()).toEqual(entriesOf(N2)));
    await Bun.sleep(100);
    expect(entries()).toEqual(entriesOf(N2));
    for (let at = 0; at < hostile.length; at += 1) expect(agent.log).toContain(`bad${at} `);
    expect(agent.log).not.toContain('\u001b');
    expect(agent.count('ERROR')).toBe(0);
    expect(agent.running).toBe(true);
    // The same heartbeat again says nothing new.
    const lines = agent.log.split('\n').length;
    world.annotate('bad3', { unrelated: '1' });
    world.annotate('bad4', { unrelated: '1' });
    await Bun.sleep(150);
    expect(agent.log.split('\n').slice(lines - 1)).toEqual(['']);
  });

  test('two hundred peers at once, and gone at once', async () => {
    await using world = await worldWithN1();
    const peers = Array.from({ length: 200 }, (_, at): PeerSpec => {
      const hex = at.toString(16).padStart(2, '0');
      return {
        podCidrs: [`10.244.${at + 10}.0/24`],
        publicIp: `192.168.60.${at + 1}`,
        mac: `02:00:00:00:aa:${hex}`,
      };
    });
    for (const [at, peer] of peers.entries()) world.addPeer(`p${at}`, peer);
    await using agent = await world.startReady();
    expect(entries()).toEqual(entriesOf(...peers));
    for (let at = 0; at < peers.length; at += 1) world.api.nodes.delete(`p${at}`);
    await eventually(() => expect(entries()).toEqual({ route: '', neigh: '', fdb: '' }));
    expect(agent.count('WARN')).toBe(0);
  });
});
