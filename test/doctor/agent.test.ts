import { beforeEach, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { BIN } from '../support/cni-machine.ts';
import { diagnose, installedHost, type Diagnosis } from '../support/doctor.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must, run } from '../support/netns.ts';
import { selfSigned } from '../support/certificate.ts';

const VXLAN = '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}';
/** The compiled program: the doctor knows a running agent by its name. */
const COMPILED = { command: [`${BIN}/flanneld`] };

describeInNetns(import.meta.path, 'flannelctl doctor beside a running agent', () => {
  beforeEach(() => {
    run(['nft', 'flush', 'ruleset']);
    for (const link of ['cni0', 'd0']) run(['ip', 'link', 'delete', link]);
    must(['sysctl', '-qw', 'net.ipv4.conf.default.rp_filter=0', 'net.ipv4.conf.all.rp_filter=0']);
  });

  async function nodeWorld(
    options: Omit<Parameters<typeof AgentWorld.create>[0], 'netConf'> = {},
  ): Promise<AgentWorld> {
    const world = await AgentWorld.create({ netConf: VXLAN, ...options });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    return world;
  }

  const look = (world: AgentWorld, ...more: readonly string[]): Promise<Diagnosis> =>
    diagnose([...installedHost(world.folder), ...more], { hangs: async () => false });

  /** Looks again until it is so: what was done to the node a moment ago may not have reached the agent. */
  async function expectFound(
    diagnosis: () => Promise<Diagnosis>,
    found: readonly string[],
    ...names: readonly string[]
  ) {
    await eventually(async () => {
      const { found: all, text } = await diagnosis();
      expect([all, text]).toEqual([[...found], expect.any(String)]);
      for (const name of names) expect(text).toContain(name);
    });
  }

  test('finds nothing on a sound node, with and without peers', async () => {
    await using world = await nodeWorld();
    await using _agent = await world.startReady([], COMPILED);
    await expectFound(() => look(world), []);
    world.addPeer('n2', N2);
    await expectFound(() => look(world), []);
  });

  test('finds nothing on a node with both families', async () => {
    const netConf =
      '{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "2001:db8:42::/56", "Backend": {"Type": "vxlan"}}';
    await using world = await AgentWorld.create({ netConf });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:db8:42:1::/64'] });
    const podCidrs = ['10.244.2.0/24', '2001:db8:42:2::/64'];
    world.addPeer('n2', { ...N2, podCidrs, publicIp6: 'fd50::12', mac6: 'ba:35:f7:c1:34:66' });
    await using _agent = await world.startReady([], COMPILED);
    await expectFound(() => look(world), []);
  });

  test('finds nothing when the agent runs in a container, which has its own files', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], { ...COMPILED, prefix: ['unshare', '--mount'] });
    expect(readlinkSync(`/proc/${agent.pid}/ns/mnt`)).not.toBe(readlinkSync('/proc/self/ns/mnt'));
    await expectFound(() => look(world), []);
  });

  test('the agent has ended', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], COMPILED);
    await agent.stop('SIGTERM');
    const flags = [`--subnet-file=${world.subnetFile}`, `--ipam-dir=${world.folder}/networks`];
    await expectFound(
      () => look(world, ...flags),
      ['error agent'],
      'flanneld does not run; it said last: ready',
    );
  });

  test('the agent waits for a podCIDR', async () => {
    await using world = await AgentWorld.create({ netConf: VXLAN });
    world.addNode('n1', { podCidrs: [] });
    await using _agent = world.start([], COMPILED);
    await expectFound(
      () => look(world),
      ['error node', 'error agent'],
      'n1: pod cidr not assigned',
      '--allocate-node-cidrs=true',
      'the agent is not ready',
    );
  });

  test('there is no Node of this name', async () => {
    await using world = await nodeWorld();
    await using _agent = world.start([], { ...COMPILED, env: { NODE_NAME: 'other' } });
    await expectFound(
      () => look(world),
      ['error node', 'error agent'],
      'there is no Node other',
      'NODE_NAME',
    );
  });

  test('the API server does not answer', async () => {
    await using world = await nodeWorld();
    await using _agent = await world.startReady([], COMPILED);
    await world.api.faults.refuse();
    const { text, skipped } = await eventually(async () => {
      const diagnosis = await look(world);
      expect(diagnosis.found).toEqual(['error api', 'warning sync']);
      return diagnosis;
    });
    expect(text).toContain('connection refused');
    expect(skipped.get('plan')).toStartWith('the API server does not tell:');
    await world.api.faults.listen();
  });

  test.each([
    ['watch', 'nodes', 'error permissions', 'does not learn of nodes that come, change and go'],
    ['list', 'nodes', 'error permissions', 'the agent learns of no other node'],
    ['patch', 'nodes/status', 'error permissions', 'no other node sends to this one'],
    ['create', 'events', 'info permissions', 'carries no Warning'],
  ])('the agent may not %s %s', async (verb, resource, finding, why) => {
    await using world = await nodeWorld();
    await using _agent = await world.startReady([], COMPILED);
    world.api.faults.forbid({ verb, resource });
    await expectFound(
      () => look(world),
      [finding],
      `the agent may not ${verb} ${resource}`,
      why,
      'ClusterRole flannel',
    );
  });

  test('without NODE_NAME it has to read its pod', async () => {
    await using world = await nodeWorld();
    world.api.pods.create({
      metadata: { name: 'ds-1', namespace: 'default' },
      spec: { nodeName: 'n1', containers: [{ name: 'a', image: 'b' }] },
    });
    const env = { NODE_NAME: '', POD_NAME: 'ds-1', POD_NAMESPACE: 'default' };
    await using _agent = await world.startReady([], { ...COMPILED, env });
    await expectFound(() => look(world), []);
    world.api.faults.forbid({ verb: 'get', resource: 'pods' });
    const { found, text } = await look(world);
    expect(found).toEqual(['error api', 'error permissions']);
    expect(text).toContain('the agent may not get pods');
  });

  test('two Nodes have one address, one pod subnet, one MAC', async () => {
    await using world = await nodeWorld();
    world.addPeer('n2', N2);
    await using _agent = await world.startReady([], COMPILED);
    world.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: N2.publicIp, mac: 'ba:35:f7:c1:34:03' });
    await expectFound(
      () => look(world),
      ['error duplicates'],
      `the public address ${N2.publicIp} is that of n2, n3`,
    );
    world.api.nodes.delete('n3');
    world.addPeer('n3', { podCidrs: N2.podCidrs, publicIp: '192.168.50.13', mac: 'ba:35:f7:c1:34:03' });
    await expectFound(
      () => look(world),
      ['error duplicates'],
      'the pod subnet 10.244.2.0/24 is that of n2, n3',
    );
    world.api.nodes.delete('n3');
    world.addPeer('n3', { podCidrs: ['10.244.3.0/24'], publicIp: '192.168.50.13', mac: N2.mac });
    await expectFound(() => look(world), ['error duplicates'], `the VTEP MAC ${N2.mac} is that of n2, n3`);
  });

  test('another Node has our address', async () => {
    await using world = await nodeWorld();
    await using _agent = await world.startReady([], COMPILED);
    world.addPeer('n0', {
      podCidrs: ['10.244.3.0/24'],
      publicIp: '192.168.50.11',
      mac: 'ba:35:f7:c1:34:03',
    });
    await expectFound(
      () => look(world),
      ['error duplicates'],
      'the public address 192.168.50.11 is that of n0, n1',
      '--iface',
    );
  });

  test('strict reverse path filtering drops what peers send', async () => {
    await using world = await nodeWorld();
    world.addPeer('n2', N2);
    await using _agent = await world.startReady([], COMPILED);
    must(['sysctl', '-qw', 'net.ipv4.conf.eth0.rp_filter=1']);
    await expectFound(() => look(world), []);
    must(['ip', 'link', 'add', 'd0', 'type', 'bridge']);
    must(['ip', 'link', 'set', 'd0', 'up']);
    must(['ip', 'route', 'add', `${N2.publicIp}/32`, 'dev', 'd0']);
    await expectFound(
      () => look(world),
      ['warning rp-filter'],
      'net.ipv4.conf.eth0.rp_filter is 1, and the route to n2 does not lead through eth0',
      'net.ipv4.conf.all.rp_filter=2',
    );
    must(['sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=2']);
    await expectFound(() => look(world), []);
  });

  test('the clock is wrong', async () => {
    await using world = await nodeWorld();
    await using _agent = await world.startReady([], COMPILED);
    // Another clock makes the agent's reports old, too, unless it is behind.
    const now = () => Date.now() - 40_000;
    await expectFound(
      () => diagnose(installedHost(world.folder), { now }),
      ['warning clock'],
      " s behind the API server's",
      'timedatectl set-ntp true',
    );
  });

  test('the agent is stuck', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], COMPILED);
    process.kill(agent.pid, 'SIGSTOP');
    changeStatus(world, { writtenAt: new Date(Date.now() - 100_000).toISOString() });
    await expectFound(
      () => look(world),
      ['error sync'],
      // 100 to 109 s: time goes on.
      'the agent has written nothing for 10',
      `kill -CONT ${agent.pid}`,
    );
    changeStatus(world, { writtenAt: new Date().toISOString() });
    await expectFound(
      () => diagnose(installedHost(world.folder)),
      ['error sync'],
      `the agent, process ${agent.pid}, does not answer`,
      `kill -KILL ${agent.pid}`,
    );
    changeStatus(world, {
      writtenAt: new Date().toISOString(),
      lastContact: new Date(Date.now() - 90_000).toISOString(),
    });
    await expectFound(() => look(world), ['warning sync'], 'the API server was last heard of 9');
    changeStatus(world, {
      lastContact: new Date().toISOString(),
      store: { fromMemory: true, trouble: 'x509: expired' },
    });
    await expectFound(() => look(world), ['warning sync'], 'runs from the last known state: x509: expired');
  });

  test('somebody keeps changing what the agent makes', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], COMPILED);
    process.kill(agent.pid, 'SIGSTOP');
    const at = (age: number) => new Date(Date.now() - age).toISOString();
    const repair = (age: number) => ({
      at: at(age),
      counts: { mac: 1 },
      what: 'link flannel.1 has MAC 1, not 2',
    });
    changeStatus(world, { repairs: [700_000, 5000, 4000, 3000, 2000].map(repair) });
    await expectFound(() => look(world), []);
    changeStatus(world, { repairs: [9000, 5000, 4000, 3000, 2000].map(repair) });
    await expectFound(
      () => look(world),
      ['warning repairs'],
      '5 repairs of the same kind in ten minutes',
      'link flannel.1 has MAC',
      'NetworkManager',
    );
  });

  test('the agent says that it is not ready, that its rules cannot be written, and that it is another version', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], COMPILED);
    process.kill(agent.pid, 'SIGSTOP');
    changeStatus(world, { ready: false, reason: 'no such thing' });
    await expectFound(() => look(world), ['error agent'], 'the agent is not ready: no such thing');
    changeStatus(world, { serving: true });
    await expectFound(() => look(world), ['warning agent'], 'pods work with what was known last');
    changeStatus(world, { rules: { mode: 'iptables', state: 'failed', error: 'no iptables' } });
    await expectFound(
      () => look(world),
      ['error agent'],
      'the traffic rules (iptables) cannot be written: no iptables',
    );
    changeStatus(world, { ready: true, rules: { mode: 'iptables', state: 'ok' }, version: '0.0.1' });
    await expectFound(() => look(world), ['info agent'], 'the agent is version 0.0.1');
  });

  test('somebody removes the annotations', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], COMPILED);
    process.kill(agent.pid, 'SIGSTOP');
    world.api.nodes.update('n1', (node) => {
      node.metadata.annotations = {};
    });
    // Its MAC is one of them: what the agent would make anew is not known, and the device stays as it is.
    await expectFound(
      () => look(world),
      ['warning node'],
      'the annotations of Flannel are not on the Node n1',
    );
  });

  test('subnet.env is damaged, gone, or of another subnet', async () => {
    await using world = await nodeWorld();
    await using agent = await world.startReady([], COMPILED);
    process.kill(agent.pid, 'SIGSTOP');
    const text = readFileSync(world.subnetFile, 'utf8');
    writeFileSync(world.subnetFile, text.replace('10.244.1.1/24', 'x'));
    await expectFound(() => look(world), ['error subnet-file'], 'FLANNEL_SUBNET', '"x"');
    writeFileSync(world.subnetFile, text.replace('10.244.1.1/24', '10.244.9.1/24'));
    await expectFound(
      () => look(world),
      ['error subnet-file'],
      'says 10.244.9.0/24, but the lease is 10.244.1.0/24',
    );
    writeFileSync(world.subnetFile, text.replace('1450', '1400'));
    await expectFound(() => look(world), ['error subnet-file'], 'says MTU 1400, but the agent 1450');
    rmSync(world.subnetFile);
    await expectFound(() => look(world), ['error subnet-file'], 'is not there, though the agent is ready');
  });

  test('the configuration of a running agent is gone', async () => {
    await using world = await nodeWorld();
    await using _agent = await world.startReady([], COMPILED);
    rmSync(world.netConfFile);
    await expectFound(() => look(world), ['error net-conf'], 'there is no such file');
  });

  test('the overlay does not fit the external interface', async () => {
    await using world = await AgentWorld.create({
      netConf: '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "MTU": 1600}}',
    });
    world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
    // The kernel refuses such a device: the agent cannot become ready.
    await using _agent = world.start([], COMPILED);
    await expectFound(
      () => look(world),
      ['error agent', 'error plan', 'error mtu'],
      'flannel.1 has an MTU of 1550: with 50 bytes of VXLAN that is more than the 1500 of eth0',
      'set Backend.MTU to 1500 or less',
    );
  });

  test('certificates and tokens end', async () => {
    const soon = selfSigned(3);
    await using world = await nodeWorld({ api: { tls: { cert: soon.cert, key: soon.key } } });
    const write = (name: string, content: string) => {
      const path = `${world.folder}/${name}`;
      writeFileSync(path, content);
      return path;
    };
    mkdirSync(`${world.folder}/run`, { recursive: true });
    const kubeconfig = write(
      'kubeconfig',
      kubeconfigOf(world.api.url, write('ca.crt', soon.cert), write('token', tokenUntil(Date.now() + 1e6))),
    );
    const flags = [`--kubeconfig-file=${kubeconfig}`];
    const apart = [
      '--node-name=n1',
      `--net-config-path=${world.netConfFile}`,
      `--subnet-file=${world.subnetFile}`,
    ];
    must(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
    const examine = () => diagnose([...installedHost(world.folder), ...flags, ...apart]);
    await expectFound(
      examine,
      ['warning certificates'],
      `CA ${world.folder}/ca.crt expires at`,
      'kubeadm certs renew',
    );
    write('token', tokenUntil(Date.now() - 1000));
    await expectFound(
      examine,
      ['warning certificates', 'error certificates'],
      `token ${world.folder}/token has expired`,
    );
    write('token', tokenUntil(Date.now() + 1e6));
    const later = () => Date.now() + 4 * 86_400_000;
    const { found } = await diagnose([...installedHost(world.folder), ...flags, ...apart], { now: later });
    // The token has ended by then, too; and such a clock is no good.
    expect(found).toEqual(['error certificates', 'error certificates', 'warning clock']);
    write('ca.crt', selfSigned(300).cert);
    await expectFound(examine, ['error api'], 'x509', 'give the');
  });
});

function changeStatus(world: AgentWorld, change: Readonly<Record<string, unknown>>): void {
  const path = `${world.folder}/run/status.json`;
  const status = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...status, ...change }));
}

function tokenUntil(ms: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ exp: Math.round(ms / 1000) })}.x`;
}

function kubeconfigOf(server: string, ca: string, token: string): string {
  return JSON.stringify({
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority': ca } }],
    users: [{ name: 'u', user: { tokenFile: token } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  });
}
