import { expect, test } from 'bun:test';
import { readFileSync, rmSync, mkdirSync, chmodSync, statSync } from 'node:fs';
import { AgentWorld, N2, readyz } from '../support/agent-world.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { golden } from '../support/golden.ts';
import { overlayState } from '../support/kernel-text.ts';
import { describeInNetns, must } from '../support/netns.ts';

const NFT = golden('vxlan-nftables/net-conf.json');

async function world(netConf = NFT): Promise<AgentWorld> {
  const made = await AgentWorld.create({ netConf });
  made.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
  made.addPeer('n2', N2);
  return made;
}

const link = (name: string) => must(['ip', '-d', 'link', 'show', name]);
const vxlan = ['type', 'vxlan', 'dev', 'eth0', 'local', '192.168.50.11'];

/** What stands under our name when the agent starts. */
const UNDER_OUR_NAME: readonly (readonly [string, readonly string[]])[] = [
  ['a veth', ['type', 'veth', 'peer', 'name', 'veth9']],
  ['a bridge', ['type', 'bridge']],
  ['another VNI', [...vxlan, 'id', '9', 'dstport', '8472']],
  ['another port', [...vxlan, 'id', '1', 'dstport', '4789']],
  [
    'another address',
    ['type', 'vxlan', 'dev', 'eth0', 'local', '192.168.50.99', 'id', '1', 'dstport', '8472'],
  ],
  ['one that learns', [...vxlan, 'id', '1', 'dstport', '8472', 'learning']],
];

describeInNetns(import.meta.path, 'foreign devices in the way', () => {
  for (const [name, kind] of UNDER_OUR_NAME) {
    test(`${name} under our name is replaced`, async () => {
      await using node = await world();
      must(['ip', 'link', 'add', 'flannel.1', ...kind]);
      must(['ip', 'link', 'set', 'flannel.1', 'up']);
      await using agent = await node.startReady();
      expect(link('flannel.1')).toMatch(/vxlan id 1 local 192.168.50.11 dev eth0 .*dstport 8472 nolearning/);
      expect(overlayState(['flannel.1'])['route']).toContain('10.244.2.0/24');
      expect(agent.count('ERROR')).toBe(0);
    });
  }

  test('put there while it runs: replaced within a second, and the log says what it was', async () => {
    await using node = await world();
    await using agent = await node.startReady();
    await Bun.sleep(100);
    const sound = overlayState(['flannel.1']);
    must(['ip', 'link', 'set', 'flannel.1', 'name', 'old']);
    must(['ip', 'link', 'add', 'flannel.1', 'type', 'bridge']);
    const took = await timeUntil(() => expect(overlayState(['flannel.1'])).toEqual(sound));
    expect(took).toBeLessThan(AT_ONCE);
    await eventually(() => expect(agent.log).toMatch(/link old of an earlier|kind bridge, not vxlan/));
  });

  test('another device with our VNI and port is named, with the cure; when it goes, all is well', async () => {
    await using node = await world();
    must(['ip', 'link', 'add', 'vxother', ...vxlan, 'id', '1', 'dstport', '8472']);
    await using agent = node.start();
    await eventually(() => expect(agent.log).toContain('Device vxother holds VNI 1 on UDP port 8472'));
    await eventually(() => expect(agent.log).toContain('ip link delete vxother'));
    expect((await readyz()).status).toBe(503);
    must(['ip', 'link', 'delete', 'vxother']);
    await eventually(async () => expect((await readyz()).status).toBe(200));
  });

  test('a program on our port is told of', async () => {
    await using node = await world();
    const socket = await Bun.udpSocket({ hostname: '0.0.0.0', port: 8472 });
    await using agent = node.start();
    await eventually(() => expect(agent.log).toContain('UDP port 8472 is taken by a program'));
    socket.close();
    await eventually(async () => expect((await readyz()).status).toBe(200));
  });
});

describeInNetns(
  import.meta.path,
  'names and addresses that systemd would choose',
  () => {
    test('the MAC is one that was set: systemd-networkd and udev leave it', async () => {
      must(['mount', '-t', 'sysfs', 'sysfs', '/sys']);
      await using node = await world();
      await using _agent = await node.startReady();
      // NET_ADDR_SET (`linux/netdevice.h`): MACAddressPolicy=persistent only changes random ones.
      expect(readFileSync('/sys/class/net/flannel.1/addr_assign_type', 'utf8').trim()).toBe('3');
    });

    test('changed all the same, again and again: put back each time, and the one that peers know', async () => {
      await using node = await world();
      await using agent = await node.startReady();
      await Bun.sleep(100);
      const mac = /link\/ether (\S+)/.exec(link('flannel.1'))?.[1] ?? '';
      for (let time = 1; time <= 4; time += 1) {
        must(['ip', 'link', 'set', 'flannel.1', 'address', `02:00:00:00:00:0${time}`]);
        const took = await timeUntil(() => expect(link('flannel.1')).toContain(mac));
        expect(took).toBeLessThan(AT_ONCE);
      }
      expect(node.annotation('n1', 'backend-data')).toContain(mac);
      expect(agent.count('ERROR')).toBe(0);
    });
  },
  { mounts: true },
);

describeInNetns(import.meta.path, 'more notifications than the kernel keeps', () => {
  test('what was lost is made up for by a full pass', async () => {
    await using node = await world();
    await using agent = await node.startReady();
    await Bun.sleep(100);
    const sound = overlayState(['flannel.1']);
    process.kill(agent.pid, 'SIGSTOP');
    const lines: string[] = [];
    for (let at = 0; at < 12_000; at += 1) {
      const dst = `10.77.${at >> 8}.${at & 255}/32`;
      lines.push(`route add ${dst} via 192.168.50.1`, `route del ${dst} via 192.168.50.1`);
    }
    const batch = `${node.folder}/batch`;
    await Bun.write(batch, lines.join('\n'));
    must(['ip', '-batch', batch]);
    // Nothing tells of these any more.
    must(['ip', 'route', 'del', '10.244.2.0/24']);
    must(['ip', 'neigh', 'del', '10.244.2.0', 'dev', 'flannel.1']);
    process.kill(agent.pid, 'SIGCONT');
    const took = await timeUntil(() => expect(overlayState(['flannel.1'])).toEqual(sound));
    expect(took).toBeLessThan(AT_ONCE);
    await eventually(() => expect(agent.count('route 10.244.2.0/24')).toBeGreaterThan(0));
    expect(agent.count('ERROR')).toBe(0);
  });
});

describeInNetns(import.meta.path, 'the subnet file, damaged while the agent runs', () => {
  test('an empty folder in its place, a mode that hides it, a symbolic link to nowhere', async () => {
    await using node = await world();
    await using agent = await node.startReady();
    const text = node.subnetEnv();
    const file = node.subnetFile;
    const damages = [
      () => {
        rmSync(file);
        mkdirSync(file);
      },
      () => chmodSync(file, 0),
      () => {
        rmSync(file);
        must(['ln', '-s', '/nowhere', file]);
      },
    ];
    for (const damage of damages) {
      damage();
      const took = await timeUntil(() => {
        expect(node.subnetEnv()).toBe(text);
        expect(statSync(file).mode & 0o777).toBe(0o644);
      });
      expect(took).toBeLessThan(AT_ONCE);
    }
    await eventually(() =>
      expect(agent.count('the subnet file was removed or changed')).toBe(damages.length),
    );
  });

  test('a folder with something in it: not ready, with the reason, until it is gone', async () => {
    await using node = await world();
    await using agent = await node.startReady();
    rmSync(node.subnetFile);
    mkdirSync(`${node.subnetFile}/full`, { recursive: true });
    await eventually(async () => expect((await readyz()).text).toContain('subnet file: '));
    rmSync(node.subnetFile, { recursive: true });
    await eventually(async () => expect((await readyz()).status).toBe(200));
    await eventually(() => expect(agent.count('the subnet file cannot be written')).toBe(1));
  });
});
