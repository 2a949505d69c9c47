import { expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentProcess } from '../support/agent-process.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must, run } from '../support/netns.ts';

const KEYS = '/coreos.com/network/subnets/';
const CONFIG = '{"Network":"10.5.0.0/16","EnableNFTables":true}';
const PEER =
  '{"PublicIP":"192.168.50.12","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"ba:35:f7:c1:34:9a"}}';

/** A node with an etcd of its own, which agents reach by the loopback interface. */
class EtcdWorld implements AsyncDisposable {
  readonly etcd: EtcdCluster;
  readonly folder = mkdtempSync(join(tmpdir(), 'flanneld-etcd-'));

  private constructor(etcd: EtcdCluster) {
    this.etcd = etcd;
  }

  static async create(members = 1): Promise<EtcdWorld> {
    must(['ip', 'link', 'set', 'lo', 'up']);
    must(['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wire']);
    must(['ip', 'addr', 'add', '192.168.50.11/24', 'dev', 'eth0']);
    must(['ip', 'link', 'set', 'wire', 'up']);
    must(['ip', 'link', 'set', 'eth0', 'up']);
    must(['ip', 'route', 'add', 'default', 'via', '192.168.50.1']);
    return new EtcdWorld(await EtcdCluster.start({ members }));
  }

  start(...extra: readonly string[]): AgentProcess {
    const args = [
      '--ip-masq',
      `--etcd-endpoints=${this.etcd.endpoints.join(',')}`,
      `--subnet-file=${this.subnetFile}`,
      `--ipam-dir=${this.folder}/networks`,
      ...extra,
    ];
    return new AgentProcess({ args });
  }

  async startReady(...extra: readonly string[]): Promise<AgentProcess> {
    const agent = this.start(...extra);
    await eventually(() => {
      if (!agent.log.includes('INFO  ready')) throw new Error(agent.log);
    });
    return agent;
  }

  get subnetFile(): string {
    return join(this.folder, 'run', 'subnet.env');
  }

  get subnet(): string {
    return /FLANNEL_SUBNET=(\S+)\.1\/24/.exec(readFileSync(this.subnetFile, 'utf8'))?.[1] ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.etcd[Symbol.asyncDispose]();
    run(['ip', 'link', 'delete', 'eth0']);
    run(['nft', 'flush', 'ruleset']);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** User and system time of a process, seconds (proc(5), fields 14 and 15 of stat; 100 ticks a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const routes = () => must(['ip', '-4', 'route']);

describeInNetns(import.meta.path, 'flanneld with etcd', () => {
  test('waits for the configuration, gets a subnet, follows its peers, and finds all again', async () => {
    await using world = await EtcdWorld.create();
    const { etcd } = world;
    await using agent = world.start();
    await eventually(() => expect(agent.log).toContain('waiting for the network configuration in etcd'));
    expect(agent.log).toContain('etcdctl put /coreos.com/network/config');
    etcd.ctl('put', '/coreos.com/network/config', '{"Network":"10.5.0.0/29","SubnetLen":30}');
    await eventually(
      () => expect(agent.log).toContain('etcd key /coreos.com/network/config: SubnetLen: 30 is not'),
      10_000,
    );
    etcd.ctl('put', '/coreos.com/network/config', CONFIG);
    await eventually(() => expect(agent.log).toContain('INFO  ready'));
    etcd.ctl('put', `${KEYS}10.5.222.0-24`, PEER);
    await eventually(() => expect(routes()).toContain('10.5.222.0/24 via 10.5.222.0 dev flannel.1 onlink'));
    const { subnet } = world;
    const before = must(['ip', '-d', 'link', 'show', 'flannel.1']);
    expect((await agent.stop('SIGTERM')).code).toBe(0);
    etcd.ctl('del', `${KEYS}10.5.222.0-24`);
    await using again = await world.startReady();
    expect(world.subnet).toBe(subnet);
    expect(must(['ip', '-d', 'link', 'show', 'flannel.1'])).toBe(before);
    expect(routes()).not.toContain('10.5.222.0/24');
    expect(again.count('ERROR')).toBe(0);
  });

  test('its lease is taken away: it ends with 1 and words; started again it takes the same subnet', async () => {
    await using world = await EtcdWorld.create();
    const { etcd } = world;
    etcd.ctl('put', '/coreos.com/network/config', CONFIG);
    await using agent = await world.startReady();
    const { subnet } = world;
    etcd.ctl('del', `${KEYS}${subnet}.0-24`);
    expect(await agent.exited()).toBe(1);
    expect(agent.log).toContain('flanneld cannot go on: the lease of');
    expect(agent.log).toContain('start the agent again');
    await using again = await world.startReady();
    expect(world.subnet).toBe(subnet);
    expect(again.running).toBe(true);
  });

  test('a member of three dies, then all: the overlay stays, and what was missed is made up for', async () => {
    await using world = await EtcdWorld.create(3);
    const { etcd } = world;
    etcd.ctl('put', '/coreos.com/network/config', CONFIG);
    etcd.ctl('put', `${KEYS}10.5.222.0-24`, PEER);
    await using agent = await world.startReady();
    await etcd.kill(0);
    await eventually(
      () => void etcd.ctl('put', `${KEYS}10.5.223.0-24`, PEER.replace('.12"', '.13"').replace('9a', '9b')),
      15_000,
    );
    await eventually(() => expect(routes()).toContain('10.5.223.0/24'));
    await etcd.kill(1);
    await etcd.kill(2);
    const [cpu, lines] = [cpuSeconds(agent.pid), agent.log.split('\n').length];
    await Bun.sleep(4000);
    expect(agent.running).toBe(true);
    expect(cpuSeconds(agent.pid) - cpu).toBeLessThan(1);
    expect(agent.log.split('\n').length - lines).toBeLessThan(20);
    expect(routes()).toContain('10.5.222.0/24');
    await Promise.all([0, 1, 2].map((at) => etcd.restart(at)));
    etcd.ctl('del', `${KEYS}10.5.222.0-24`);
    await eventually(() => expect(routes()).not.toContain('10.5.222.0/24'));
    expect(routes()).toContain('10.5.223.0/24');
  });

  test('another configuration: followed at once when the subnet stays, else said', async () => {
    await using world = await EtcdWorld.create();
    const { etcd } = world;
    etcd.ctl('put', '/coreos.com/network/config', CONFIG);
    await using agent = await world.startReady();
    const { subnet } = world;
    etcd.ctl(
      'put',
      '/coreos.com/network/config',
      CONFIG.replace('}', ',"Backend":{"Type":"vxlan","VNI":7}}'),
    );
    await eventually(() => expect(must(['ip', 'link'])).toContain('flannel.7'));
    await eventually(() => expect(must(['ip', 'link'])).not.toContain('flannel.1'));
    expect(world.subnet).toBe(subnet);
    await eventually(() => expect(etcd.all(KEYS).get(`${KEYS}${subnet}.0-24`)).toContain('"VNI":7'));
    // After the first change the subnet is one that was taken over, not made.
    etcd.ctl(
      'put',
      '/coreos.com/network/config',
      CONFIG.replace('}', ',"Backend":{"Type":"vxlan","VNI":8}}'),
    );
    await eventually(() => expect(must(['ip', 'link'])).toContain('flannel.8'));
    for (const [text, words] of [
      ['{"Network":', 'the new configuration in etcd is not taken'],
      [
        CONFIG.replace('}', ',"Backend":{"Type":"wireguard"}}'),
        'backend wireguard is not built into this version',
      ],
    ] as const) {
      etcd.ctl('put', '/coreos.com/network/config', text);
      await eventually(() => expect(agent.log).toContain(words));
      expect(agent.running).toBe(true);
    }
    etcd.ctl('put', '/coreos.com/network/config', '{"Network":"10.6.0.0/16"}');
    await eventually(() => expect(agent.log).toContain('so that this node needs another subnet'));
    expect(agent.running).toBe(true);
    expect(world.subnet).toBe(subnet);
  });

  test('a password is nowhere in the log', async () => {
    await using world = await EtcdWorld.create();
    world.etcd.ctl('put', '/coreos.com/network/config', CONFIG);
    await using agent = await world.startReady('--etcd-username=flannel', '--etcd-password=s3cret', '-v=10');
    expect(agent.log).not.toContain('s3cret');
  });
});
