import { expect, test } from 'bun:test';
import { addPod, callPlugin, errorOf, NodeFiles } from '../support/cni.ts';
import { describeInNetns, json, must as exec, NamedNetns, run } from '../support/netns.ts';

/** Names of the links of this namespace. */
function links(): unknown[] {
  return json(['ip', '-j', 'link', 'show']).map(({ ifname }) => ifname);
}

describeInNetns(import.meta.path, 'what a failed ADD leaves', () => {
  test('no bridge that it made, whatever failed', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('left');
    const add = async (extra: object) => {
      const call = { command: 'ADD', containerId: 'p', netns: pod.path, config: node.bridgeConfig(extra) };
      return errorOf((await callPlugin('bridge', call)).stdout);
    };
    expect((await add({ ipam: { type: 'nobody-has-this' } })).msg).toContain('nobody-has-this');
    expect(links()).toEqual(['lo']);
    // Refused at the very end: the gateway of the route cannot be reached.
    const ipam = {
      type: 'host-local',
      dataDir: `${node.dir}/networks`,
      subnet: '10.9.0.0/24',
      routes: [{ dst: '10.0.0.0/8', gw: '192.0.2.1' }],
    };
    expect((await add({ ipam })).code).toBe(999);
    expect([links(), node.reservations()]).toEqual([['lo'], []]);
  });

  test('the bridge, when somebody else uses it or made it', async () => {
    using node = new NodeFiles();
    using pod = NamedNetns.create('left');
    using other = NamedNetns.create('left');
    const routes = [{ dst: '10.0.0.0/8', gw: '192.0.2.1' }];
    const base = { type: 'host-local', dataDir: `${node.dir}/networks`, subnet: '10.9.0.0/24' };
    const bad = node.bridgeConfig({ ipam: { ...base, routes } });
    const call = { command: 'ADD', containerId: 'p', netns: pod.path, config: bad };
    exec(['ip', 'link', 'add', 'cni0', 'type', 'bridge']);
    expect((await callPlugin('bridge', call)).code).toBe(1);
    expect(links()).toEqual(['lo', 'cni0']);
    exec(['ip', 'link', 'delete', 'cni0']);
    await addPod('bridge', {
      containerId: 'o',
      netns: other.path,
      config: node.bridgeConfig({ ipam: base }),
    });
    const before = links();
    expect((await callPlugin('bridge', call)).code).toBe(1);
    expect(links()).toEqual(before);
    other.exec(['ping', '-c1', '-W1', '10.9.0.1']);
    exec(['ip', 'link', 'delete', 'cni0']);
  });

  test('VLANs on a kernel that does not filter them: said so, nothing made', async () => {
    const filters = run(['ip', 'link', 'add', 'probe', 'type', 'bridge', 'vlan_filtering', '1']).code === 0;
    run(['ip', 'link', 'delete', 'probe']);
    // What such a kernel does with them is in test/vm.
    if (filters) return;
    using node = new NodeFiles();
    using pod = NamedNetns.create('left');
    for (const keys of [{ vlan: 100 }, { vlanTrunk: [{ minID: 10, maxID: 20 }] }]) {
      const call = { command: 'ADD', containerId: 'p', netns: pod.path, config: node.bridgeConfig(keys) };
      const { code, msg, details } = errorOf((await callPlugin('bridge', call)).stdout);
      expect(code).toBe(2);
      expect(msg).toContain('vlan, vlanTrunk: this kernel does not filter VLANs');
      expect(details).toContain('CONFIG_BRIDGE_VLAN_FILTERING');
      expect([links(), node.reservations()]).toEqual([['lo'], []]);
    }
  });
});
