import { expect, test } from 'bun:test';
import { AgentWorld, peerAnnotations, prefixed, PREFIX, type PeerSpec } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { deviceText, normalise, overlayRoutes, routesText, rulesText } from '../support/kernel-text.ts';
import { describeInNetns } from '../support/netns.ts';

interface Recorded {
  readonly metadata: { readonly annotations: Record<string, string> };
  readonly spec: { readonly podCIDRs: readonly string[] };
  readonly status: { readonly conditions: readonly Record<string, string>[] };
}

function recorded(folder: string): Recorded {
  return JSON.parse(golden(`${folder}/node.json`)) as Recorded;
}

/** The other node of the recording: its MACs are in the FDB, when there is one. */
function otherNode(folder: string, devices: readonly string[]): PeerSpec {
  const [mac = '12:34:56:78:9a:bc', mac6] = devices.map(
    (device) => golden(`${folder}/fdb-${device}.txt`).split(' ')[0] ?? '',
  );
  const dual = devices.length > 1;
  if (folder === 'host-gw')
    return { podCidrs: ['10.244.2.0/24'], publicIp: '192.168.50.12', backend: 'host-gw' };
  return {
    podCidrs: ['10.244.2.0/24', ...(dual ? ['2001:cafe:42:2::/64'] : [])],
    publicIp: '192.168.50.12',
    mac,
    ...(dual ? { publicIp6: 'fd50::12', mac6: mac6 ?? '' } : {}),
  };
}

/** Starts the agent on n1 of the recording, with the MACs of then, and compares everything it leaves behind. */
async function compare(folder: string, devices: readonly string[]): Promise<void> {
  const node = recorded(folder);
  await using world = await AgentWorld.create({ netConf: golden(`${folder}/net-conf.json`) });
  const { annotations } = node.metadata;
  const macs = Object.entries(annotations).filter(([key]) => /backend-(type|data|v6-data)$/.test(key));
  world.addNode('n1', {
    podCidrs: node.spec.podCIDRs,
    annotations: { x: 'y', ...Object.fromEntries(macs) },
  });
  world.addPeer('n2', otherNode(folder, devices));
  await using agent = await world.startReady();
  expect(world.subnetEnv()).toBe(golden(`${folder}/subnet.env`));
  // Link-local addresses take the kernel about a second (duplicate address detection).
  await eventually(() => {
    const routes = routesText();
    expect(routes['route']).toBe(overlayRoutes(golden(`${folder}/route.txt`)));
    expect(routes['route6']).toBe(overlayRoutes(golden(`${folder}/route6.txt`)));
    for (const device of devices) {
      for (const [file, text] of Object.entries(deviceText(device))) {
        expect(`${file}: ${text}`).toBe(`${file}: ${normalise(golden(`${folder}/${file}.txt`))}`);
      }
    }
  });
  const rules = rulesText();
  for (const file of ['iptables-save', 'ip6tables-save']) {
    expect(rules[file]).toBe(normalise(golden(`${folder}/${file}.txt`)));
  }
  if (folder.includes('nftables')) expect(rules['nft']).toBe(normalise(golden(`${folder}/nft.txt`)));
  expect(world.api.nodes.get('n1')?.metadata.annotations).toEqual(annotations);
  await eventually(() => {
    const conditions = world.api.nodes.get('n1')?.status?.['conditions'] as
      Record<string, string>[] | undefined;
    const withoutTimes = ({
      lastHeartbeatTime: _1,
      lastTransitionTime: _2,
      ...rest
    }: Record<string, string>) => rest;
    expect(conditions?.map(withoutTimes)).toEqual(node.status.conditions.map(withoutTimes));
  });
  expect(agent.count('WARN')).toBe(0);
  expect(agent.count('ERROR')).toBe(0);
}

describeInNetns(import.meta.path, 'the agent leaves what the original leaves', () => {
  for (const folder of ['vxlan-nftables', 'vxlan-iptables']) {
    test(folder, () => compare(folder, ['flannel.1']));
  }
  test('vxlan-dual-nftables', () => compare('vxlan-dual-nftables', ['flannel.1', 'flannel-v6.1']));
  test('vxlan-direct-routing: a route, and nothing on the device', async () => {
    await compare('vxlan-direct-routing', []);
  });

  test('host-gw', () => compare('host-gw', []));

  test('without earlier annotations it chooses MACs of its own and publishes them', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-dual-nftables/net-conf.json') });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    await using agent = await world.startReady();
    const seen = new Set<string>();
    for (const [key, device] of [
      ['backend-data', 'flannel.1'],
      ['backend-v6-data', 'flannel-v6.1'],
    ] as const) {
      const data = world.annotation('n1', key) ?? '';
      const [, mac = ''] = /^\{"VNI":1,"VtepMAC":"([0-9a-f:]{17})"\}$/.exec(data) ?? [];
      expect(deviceText(device)[`link-${device}`]).toContain(`link/ether ${mac} `);
      // Locally administered, unicast.
      expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
      seen.add(mac);
    }
    expect(seen.size).toBe(2);
    expect(agent.count('ERROR')).toBe(0);
  });

  test('another annotation prefix, a public address of the operator, no masquerading', async () => {
    await using world = await AgentWorld.create({ netConf: golden('vxlan-nftables/net-conf.json') });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'], annotations: prefixed({ 'public-ip': '10.9.9.9' }) });
    const other = Object.entries(peerAnnotations(otherNode('vxlan-nftables', ['flannel.1'])));
    const renamed = other.map(([key, value]) => [key.replace(`${PREFIX}/`, 'example.com/fl-'), value]);
    world.addNode('n2', { podCidrs: ['10.244.2.0/24'], annotations: Object.fromEntries(renamed) });
    const flags = ['--kube-annotation-prefix=example.com/fl', '--public-ip=203.0.113.7', '--ip-masq=false'];
    await using agent = await world.startReady(flags);
    expect(world.api.nodes.get('n1')?.metadata.annotations?.['example.com/fl-public-ip']).toBe('203.0.113.7');
    expect(world.annotation('n1', 'public-ip')).toBe('10.9.9.9');
    expect(routesText()['route']).toBe('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
    expect(world.subnetEnv()).toContain('FLANNEL_IPMASQ=false\n');
    expect(rulesText()['nft']).not.toContain('postrtg');
    expect(rulesText()['nft']).toContain('chain forward');
    expect(agent.count('ERROR')).toBe(0);
  });
});
