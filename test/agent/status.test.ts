import { expect, test } from 'bun:test';
import { lstatSync, readdirSync } from 'node:fs';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { eventually } from '../support/eventually.ts';
import { flannelctl, type CtlOptions } from '../support/flannelctl.ts';
import { golden } from '../support/golden.ts';
import { describeInNetns, json, must } from '../support/netns.ts';
import { NodePod } from '../support/node-pods.ts';

const SAVE = { env: { TEST_SAVE_MS: '100' } };

async function world(config = 'vxlan-nftables'): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf: golden(`${config}/net-conf.json`) });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  made.addPeer('n2', N2);
  return made;
}

/** flannelctl on this world's files; what changes from run to run is replaced by words. */
async function ctl(at: AgentWorld, args: readonly string[], options: CtlOptions = {}) {
  const { folder } = at;
  const files = [
    '--run-dir',
    `${folder}/run`,
    '--ipam-dir',
    `${folder}/networks`,
    '--net-config-path',
    at.netConfFile,
  ];
  const { code, stdout, stderr } = await flannelctl([...args, ...files], options);
  const text = `${stdout}${stderr}`
    .replaceAll(folder, 'WORLD')
    .replaceAll(/process \d+/g, 'process PID')
    .replaceAll(/v\d+\.\d+\.\d+[\w-]*/g, 'vVERSION')
    .replaceAll(/\b\d+ (?:s|min)(?: \d+ s)?( ago|$)/gm, 'TIME$1')
    .replaceAll(/[\d.]+ ms, \d+ found/g, 'MS, N found');
  return { code, text };
}

/** Waits until the last known state has been written with what the kernel now has. */
const recorded = (at: AgentWorld) =>
  eventually(() => expect(readdirSync(`${at.folder}/run`)).toContain('last-known'));

const HEAD = `  lease      vxlan, 10.244.1.0/24, at 192.168.50.11
  interface  eth0, MTU 1500, pods 1450
`;
const PLANTED = `             neighbour 10.244.9.0 lladdr 02:00:00:00:09:09 dev flannel.1 is not planned
             route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 missing
`;

/** A missing route, a stale neighbour, no rules. */
function plant(): void {
  must(['ip', 'route', 'del', '10.244.2.0/24']);
  must([
    'ip',
    'neigh',
    'replace',
    '10.244.9.0',
    'lladdr',
    '02:00:00:00:09:09',
    'nud',
    'permanent',
    'dev',
    'flannel.1',
  ]);
  must(['nft', 'delete', 'table', 'ip', 'flannel-ipv4']);
}

describeInNetns(import.meta.path, 'flannelctl status, peers, diff', () => {
  test('of a running agent: its own word, compared with the kernel', async () => {
    await using at = await world();
    at.addPeer('n3', { podCidrs: ['10.244.2.0/24'], publicIp: '192.168.50.13', mac: '02:00:00:00:03:03' });
    at.addPeer('n4', { podCidrs: ['10.244.4.0/24'], publicIp: '192.168.50.14', backend: 'ipip' });
    using _pod = NodePod.create(2, `${at.folder}/networks`);
    await using _agent = await at.startReady();
    expect((lstatSync(`${at.folder}/run/agent.sock`).mode & 0o777).toString(8)).toBe('600');
    expect(await ctl(at, ['status'])).toEqual({
      code: 0,
      text: `n1: ready
  agent      process PID, flanneld vVERSION, for TIME
${HEAD}  peers      3 wanted, 1 programmed, 1 conflict, 1 left out
  entries    4, as planned
  rules      nftables, ok
  watch      heard TIME ago
  addresses  10.244.1.0/24: 1 used, 252 free
  last pass  TIME ago, MS, N found, 0 errors
  repairs    none
`,
    });
    expect(await ctl(at, ['peers'])).toEqual({
      code: 0,
      text: `peer  subnet         address        VTEP MAC           state
n2    10.244.2.0/24  192.168.50.12  ba:35:f7:c1:34:9a  programmed
n3    10.244.2.0/24  192.168.50.13  02:00:00:00:03:03  conflict: n2 has 10.244.2.0/24
n4    -              -              -                  left out: ipv4: it uses backend "ipip", this node vxlan
`,
    });
    expect(await ctl(at, ['diff'])).toEqual({
      code: 0,
      text: 'as planned: 1 device, 4 entries, nftables rules\n',
    });
    must(['ip', 'route', 'del', '10.244.2.0/24']);
    await eventually(async () =>
      expect((await ctl(at, ['status'])).text).toContain(
        '  repairs    TIME ago: route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 missing\n',
      ),
    );
  });

  test('of an agent that hangs: told after three seconds, and the rest from its files and the kernel', async () => {
    await using at = await world();
    await using agent = await at.startReady([], SAVE);
    await recorded(at);
    process.kill(agent.pid, 'SIGSTOP');
    plant();
    const start = performance.now();
    expect(await ctl(at, ['status'])).toEqual({
      code: 1,
      text: `n1: the agent hangs: no answer within 3 s; from its files and the kernel:
  agent      last: process PID, flanneld vVERSION
${HEAD}  peers      1 wanted, 0 programmed, 1 not as planned; 1 kernel entry of no peer
  entries    2 not as planned
${PLANTED}  rules      nftables, not as planned
             none of flanneld's nftables rules is in the kernel
  watch      heard TIME ago
  last pass  TIME ago, MS, N found, 0 errors
  repairs    none
`,
    });
    expect(performance.now() - start).toBeLessThan(20_000);
    process.kill(agent.pid, 'SIGCONT');
    await eventually(async () => expect((await ctl(at, ['diff'])).code).toBe(0));
  });

  test('of an agent that has stopped: from its record, and exactly what was planted', async () => {
    await using at = await world();
    {
      await using agent = await at.startReady([], SAVE);
      await recorded(at);
      await agent.stop('SIGTERM');
    }
    expect(readdirSync(`${at.folder}/run`)).not.toContain('agent.sock');
    const gone =
      'no agent runs (WORLD/run/agent.sock is not there): what follows is from its files and the kernel\n';
    expect(await ctl(at, ['diff'])).toEqual({
      code: 0,
      text: `${gone}as planned: 1 device, 3 entries, rules not looked at\n`,
    });
    plant();
    expect(await ctl(at, ['diff'])).toEqual({
      code: 1,
      text: `${gone}2 differences between kernel and plan
  neighbour 10.244.9.0 lladdr 02:00:00:00:09:09 dev flannel.1 is not planned
  route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 missing
`,
    });
    expect((await ctl(at, ['peers'])).text).toEndWith(`
n2    10.244.2.0/24  192.168.50.12  ba:35:f7:c1:34:9a  not as planned: 1 of 3 entries missing or otherwise

in the kernel, and of no peer:
  neighbour 10.244.9.0 lladdr 02:00:00:00:09:09 dev flannel.1
`);
    const status = await ctl(at, ['status', '-o', 'json']);
    expect(status.code).toBe(1);
    expect(JSON.parse(status.text)).toMatchObject({
      source: { from: 'files' },
      ready: false,
      peers: { wanted: 1, programmed: 0, stale: 1 },
      entries: {
        planned: 3,
        found: [expect.stringContaining('10.244.9.0'), expect.stringContaining('missing')],
      },
    });
    must(['ip', 'link', 'delete', 'flannel.1']);
    expect((await ctl(at, ['diff'])).text).toContain('\n  link flannel.1 missing\n');
  });

  test('of one that was killed, and whose configuration is not there: what is missing, and what helps', async () => {
    await using at = await world();
    {
      await using agent = await at.startReady([], SAVE);
      await recorded(at);
      await agent.stop('SIGKILL');
    }
    const nowhere = ['--net-config-path', `${at.folder}/none.json`];
    const { code, stdout, stderr } = await flannelctl(['diff', '--run-dir', `${at.folder}/run`, ...nowhere]);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toContain('no agent runs (nobody listens at');
    expect(stderr).toContain('none.json: there is no such file');
    expect(stderr).toContain('--net-config-path');
    const status = await flannelctl(['status', '--run-dir', `${at.folder}/run`, ...nowhere]);
    expect(status.code).toBe(1);
    expect(status.stdout).toContain('  kernel     flannel.1: 1 route, 1 neighbour, 1 FDB entry\n');
    // A killed agent's socket does not keep the next one from its own.
    await using _next = await at.startReady();
    expect((await ctl(at, ['diff'])).code).toBe(0);
  });

  test('of a node on which Flannel has never been', async () => {
    await using at = await world();
    const status = await ctl(at, ['status']);
    expect(status).toMatchObject({ code: 1 });
    expect(status.text).toStartWith('this node: no agent runs (WORLD/run/agent.sock is not there)');
    expect(status.text).toContain('  kernel   no device of the overlay\n');
  });

  test('plan: devices, entries, rules, as the tools of the host say them', async () => {
    await using at = await world('vxlan-iptables');
    await using _agent = await at.startReady(['--ip-blackhole-route']);
    const mac = String(json(['ip', '-j', 'link', 'show', 'flannel.1'])[0]?.['address']);
    const { code, text } = await ctl(at, ['plan']);
    expect(code).toBe(0);
    const rows = text.split('\n').map((line) => line.trimEnd().replaceAll(/ {2,}/g, ' | '));
    expect(rows.slice(0, 7)).toEqual([
      'object | what | peer',
      `link | flannel.1 vxlan id 1 local 192.168.50.11 dev eth0 dstport 8472 mtu 1450 address ${mac} nolearning`,
      'address | 10.244.1.0/32 dev flannel.1',
      'blackhole | 10.244.1.0/24',
      'neighbour | 10.244.2.0 lladdr ba:35:f7:c1:34:9a dev flannel.1 | n2',
      'fdb | ba:35:f7:c1:34:9a dst 192.168.50.12 dev flannel.1 | n2',
      'route | 10.244.2.0/24 via 10.244.2.0 dev flannel.1 | n2',
    ]);
    const rules = rows.filter((row) => row.startsWith('rule | ')).map((row) => row.slice(7));
    const live = must(['iptables-save'])
      .split('\n')
      .filter((line) => line.startsWith('-A FLANNEL'));
    expect(rules.map((rule) => rule.replace(/^iptables -t \w+ /, '')).toSorted()).toEqual(live.toSorted());
    must(['iptables', '-t', 'nat', '-D', 'FLANNEL-POSTRTG', '2']);
    await eventually(async () => expect(await ctl(at, ['diff'])).toMatchObject({ code: 0 }));
  });

  test('both families: as planned, and the way of an IPv6 packet', async () => {
    await using at = await AgentWorld.create({ netConf: golden('vxlan-dual-nftables/net-conf.json') });
    at.addNode('n1', { podCidrs: ['10.244.1.0/24', '2001:cafe:42:1::/64'] });
    const podCidrs = ['10.244.2.0/24', '2001:cafe:42:2::/64'];
    at.addPeer('n2', { ...N2, podCidrs, publicIp6: 'fd50::12', mac6: '02:00:00:00:06:02' });
    await using _agent = await at.startReady();
    expect(await ctl(at, ['diff'])).toEqual({
      code: 0,
      text: 'as planned: 2 devices, 6 entries, nftables rules\n',
    });
    const { code, text } = await ctl(at, ['walk', 'fd50::11', '2001:cafe:42:2::7']);
    expect(code).toBe(0);
    expect(text).toContain('2001:cafe:42:2::/64 via 2001:cafe:42:2:: dev flannel-v6.1\n');
    expect(text).toContain(
      "neighbour 2001:cafe:42:2:: is 02:00:00:00:06:02, the peer's VTEP; FDB: it is behind fd50::12 (n2)\n",
    );
    expect(text).toContain('wrapped in UDP 8472 from fd50::11 to fd50::12, 154 bytes\n');
    must(['ip', '-6', 'route', 'add', 'blackhole', '2001:cafe:42:2::7/128']);
    const blocked = await ctl(at, ['walk', 'fd50::11', '2001:cafe:42:2::7']);
    must(['ip', '-6', 'route', 'flush', 'type', 'blackhole']);
    expect(blocked.code).toBe(1);
    expect(blocked.text).toContain(
      'ends here: a blocking route of this node takes it: blackhole 2001:cafe:42:2::7/128\n',
    );
  });

  test('watch: again and again, until Ctrl-C, which is no fault', async () => {
    await using at = await world();
    await using _agent = await at.startReady();
    const { code, text } = await ctl(at, ['status', '--watch'], { end: { signal: 'SIGINT', ms: 3500 } });
    expect(code).toBe(0);
    expect(text.split('n1: ready\n').length).toBeGreaterThanOrEqual(3);
    expect(text).not.toContain('flannelctl:');
  });

  test('not as root: who may, and how', async () => {
    await using at = await world();
    await using _agent = await at.startReady();
    const { code, stderr } = await flannelctl(['status'], {
      prefix: ['setpriv', '--reuid=65534', '--clear-groups', 'bash', '-c', 'exec -a flannelctl "$@"', 'x'],
    });
    expect([code, stderr]).toEqual([
      64,
      'flannelctl: status needs root: the agent\'s socket and its records are for root alone\n  Try "sudo flannelctl status"\n',
    ]);
  });
});
