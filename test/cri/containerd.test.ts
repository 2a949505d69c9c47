import { beforeAll, expect, test } from 'bun:test';
import { unlinkSync } from 'node:fs';
import { coverFolders, installNode, makeRootfs, traces, writeSubnetEnv } from '../support/cni-machine.ts';
import { Containerd } from '../support/containerd.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, must } from '../support/netns.ts';

/** Sleeps until the test lets it go, at most a minute. */
const IDLE = ['/bin/sleep', '60'];

/** `ctr` tells DEL no namespace, so the kernel takes the pair away with the dead container's, a moment later. */
async function expectNoTrace(): Promise<void> {
  expect(traces().filter((line) => !line.startsWith('link '))).toEqual([]);
  await eventually(() => expect(traces()).toEqual([]));
}

describeInNetns(
  import.meta.path,
  'containers of containerd and runc',
  () => {
    let rootfs = '';
    beforeAll(() => {
      coverFolders();
      installNode();
      rootfs = makeRootfs();
      must(['ip', 'link', 'set', 'lo', 'up']);
    });

    test('a container gets addresses of both families and routes, reaches its gateway, and leaves no trace', async () => {
      await using daemon = await Containerd.start();
      const script =
        'ip -o -f inet addr show dev eth0; ip -o -f inet6 addr show dev eth0; ip route; ip link show eth0;' +
        'ping -c1 -W2 10.244.1.1 && ping -c1 -W2 2001:cafe:42:1::1 && echo reached';
      const { code, stdout, stderr } = await daemon.run('one', rootfs, ['/bin/sh', '-c', script]);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain('inet 10.244.1.2/24 brd 10.244.1.255');
      expect(stdout).toContain('inet6 2001:cafe:42:1::2/64 scope global');
      expect(stdout).toContain('default via 10.244.1.1 dev eth0');
      expect(stdout).toContain('10.244.0.0/16 via 10.244.1.1 dev eth0');
      expect(stdout).toContain('mtu 1450');
      expect(stdout).toContain('reached');
      await expectNoTrace();
    });

    test('two containers talk; one that is killed goes without a trace, the other stays', async () => {
      await using daemon = await Containerd.start();
      const server = daemon.run('server', rootfs, ['/bin/httpd', '-f', '-p', '80', '-h', '/www']);
      await eventually(() => {
        expect(must(['ip', '-br', 'link', 'show', 'master', 'cni0'])).toContain('UP');
      });
      const address = await eventually(() => {
        const exec = ['task', 'exec', '--exec-id', crypto.randomUUID(), 'server', '/bin/ip', 'addr'];
        const { stdout, stderr } = daemon.ctr(exec);
        const found = /inet (10\.244\.1\.\d+)/.exec(stdout);
        if (found?.[1] === undefined) throw new Error(`the server has no address: ${stdout}${stderr}`);
        return found[1];
      });
      const client = await daemon.run('client', rootfs, ['/bin/wget', '-qO-', `http://${address}/`]);
      expect(client).toEqual({ code: 0, stdout: 'a pod\n', stderr: '' });
      expect(traces().filter((line) => line.startsWith('link '))).toHaveLength(1);
      daemon.ctr(['task', 'kill', '--signal', 'SIGKILL', 'server']);
      await server;
      await expectNoTrace();
    });

    test('ten containers at once: ten addresses, all gone afterwards', async () => {
      await using daemon = await Containerd.start();
      const script = [
        '/bin/sh',
        '-c',
        'ip -o -f inet addr show dev eth0; ping -c1 -W2 10.244.1.1 >/dev/null',
      ];
      const all = await Promise.all(
        Array.from({ length: 10 }, async (_none, index) => daemon.run(`many${index}`, rootfs, script)),
      );
      expect(all.filter(({ code }) => code !== 0)).toEqual([]);
      const found = all.map(({ stdout }) => /10\.244\.1\.\d+/.exec(stdout)?.[0]);
      expect(new Set(found).size).toBe(10);
      await expectNoTrace();
    });

    test('what is wrong on the node is what the user of the runtime reads', async () => {
      await using daemon = await Containerd.start();
      writeSubnetEnv('10.244.1.1/30');
      const idle = daemon.run('idle', rootfs, IDLE);
      await eventually(() => {
        expect(traces().join('\n')).toContain('/10.244.1.2');
      });
      const full = await daemon.run('full', rootfs, IDLE);
      expect(full.code).not.toBe(0);
      expect(full.stderr).toContain('no IP addresses available in range set: 10.244.1.1-10.244.1.2');
      daemon.ctr(['task', 'kill', '--signal', 'SIGKILL', 'idle']);
      await idle;
      await expectNoTrace();

      unlinkSync('/run/flannel/subnet.env');
      const early = await daemon.run('early', rootfs, IDLE);
      writeSubnetEnv();
      expect(early.code).not.toBe(0);
      expect(early.stderr).toContain('/run/flannel/subnet.env: no such file');
      await expectNoTrace();
    });
  },
  { mounts: true, processes: true },
);
