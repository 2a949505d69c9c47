import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { IMAGE } from '../../scripts/image/name.ts';
import { AgentWorld, N2 } from '../support/agent-world.ts';
import { selfSigned } from '../support/certificate.ts';
import { coverFolders } from '../support/cni-machine.ts';
import { Containerd } from '../support/containerd.ts';
import { timeUntil } from '../support/eventually.ts';
import { ARCHIVE, IMAGE_FOLDER, LoopDisk, writeSharedImage } from '../support/image.ts';
import { ImageContainer, limitsOf } from '../support/image-container.ts';
import { describeInNetns, insideNetns, measured, must } from '../support/netns.ts';
import { type Container, daemonSetSpec, manifestObjects, theOnly } from '../support/packaging.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const DISK = '/mnt/disk';
const FILES = '/mnt/files';
const TOKEN = 'token-of-the-pod';
const READYZ = 'http://127.0.0.1:8471/readyz';
/** As /proc/<pid>/status has it: bits 12 and 13 of `linux/capability.h`. */
const NET_ADMIN_AND_NET_RAW = '0000000000003000';

/** On the disk, not in a tmpfs, what is written much to: pages of a tmpfs count as memory of the container that writes. */
const VOLUMES = {
  run: '/run/flannel',
  'cni-plugin': `${DISK}/host/bin`,
  cni: `${DISK}/host/net.d`,
  'flannel-cfg': `${FILES}/config`,
  'xtables-lock': `${FILES}/xtables.lock`,
  'cni-networks': `${FILES}/networks`,
  netns: '/run/netns',
};

/** The containers of the manifest: the one that installs, and the agent. */
function containers(): readonly [Container, Container] {
  const objects = manifestObjects('packaging/kubernetes/kube-flannel.yml');
  const { spec } = daemonSetSpec(theOnly(objects, 'DaemonSet')).template;
  const [installer, flanneld] = [spec.initContainers[0], spec.containers[0]];
  if (installer === undefined || flanneld === undefined) throw new Error('the manifest lacks a container');
  return [installer, flanneld];
}

// The namespaces of the block below have no way to a registry.
if (!insideNetns()) beforeAll(writeSharedImage, 300_000);

describeInNetns(
  import.meta.path,
  'the image in containerd and runc, as the manifest runs it',
  () => {
    const [installer, flanneld] = containers();
    const tls = selfSigned(2);
    let disk: LoopDisk | undefined;
    let namespace = '';
    beforeAll(async () => {
      coverFolders();
      must(['ip', 'link', 'set', 'lo', 'up']);
      for (const name of ['account', 'config', 'networks'])
        mkdirSync(`${FILES}/${name}`, { recursive: true });
      writeFileSync(`${FILES}/account/ca.crt`, tls.cert);
      writeFileSync(`${FILES}/account/token`, TOKEN);
      writeFileSync(`${FILES}/xtables.lock`, '');
      disk = new LoopDisk(`${IMAGE_FOLDER}/disk.img`, DISK, 600);
      for (const name of ['bin', 'net.d']) mkdirSync(`${DISK}/host/${name}`, { recursive: true });
      await using daemon = await Containerd.start(`${DISK}/containerd`);
      const { code, stdout, stderr } = daemon.ctr(['image', 'import', ARCHIVE]);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`unpacking ${IMAGE}`);
      namespace = daemon.namespace;
    });
    afterAll(() => disk?.[Symbol.dispose]());

    /** As after a boot: nothing of the image is in memory. */
    async function freshDaemon(): Promise<Containerd> {
      disk?.unmount();
      disk?.mount();
      return Containerd.start(`${DISK}/containerd`, namespace);
    }

    /** Runs the agent until it is ready, then `look`s at it, and stops it. */
    async function runAgent(nftables: boolean, look: (agent: ImageContainer) => void): Promise<void> {
      const netConf = { Network: '10.244.0.0/16', EnableNFTables: nftables, Backend: { Type: 'vxlan' } };
      const text = JSON.stringify(netConf);
      await using world = await AgentWorld.create({ netConf: text, api: { tls, token: TOKEN } });
      world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
      world.addPeer('n2', N2);
      writeFileSync(`${FILES}/config/net-conf.json`, text);
      rmSync('/run/flannel/subnet.env', { force: true });
      await using daemon = await freshDaemon();
      await using agent = new ImageContainer(daemon, flanneld, {
        id: 'agent',
        volumes: VOLUMES,
        mounts: { [ACCOUNT]: `${FILES}/account` },
        env: {
          NODE_NAME: 'n1',
          KUBERNETES_SERVICE_HOST: '127.0.0.1',
          KUBERNETES_SERVICE_PORT: String(world.api.port),
        },
      });
      const ms = await timeUntil(async () => {
        if (!agent.running) throw new Error(`it has ended: ${agent.log}`);
        expect(await (await fetch(READYZ)).text()).toBe('ready\n');
      }, 30_000);
      const mode = nftables ? 'nftables' : 'iptables';
      measured(`the image's agent, ${mode}, from a cold disk, ready in ${ms.toFixed(0)} ms`);
      look(agent);
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      expect(readFileSync('/run/flannel/subnet.env', 'utf8')).toContain('FLANNEL_SUBNET=10.244.1.1/24');
      expect(agent.log).not.toMatch(/ERROR|EROFS|EACCES|EPERM/);
      expect(await agent.stop('SIGTERM')).toBe(0);
    }

    /** What the kernel says of the container's rights and limits. */
    function expectConfined(agent: ImageContainer): void {
      const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
      for (const set of ['CapEff', 'CapPrm', 'CapBnd'])
        expect(status).toContain(`${set}:\t${NET_ADMIN_AND_NET_RAW}`);
      expect(status).toContain('NoNewPrivs:\t1');
      expect(status).toContain('Seccomp:\t2');
      expect(readFileSync(`/proc/${agent.pid}/mounts`, 'utf8')).toMatch(/^overlay \/ overlay ro,/m);
      const { memory, cpuQuota } = limitsOf(flanneld);
      expect([memory, cpuQuota]).toEqual([50 * 1024 * 1024, 10_000]);
      if (existsSync('/sys/fs/cgroup/cgroup.controllers')) {
        expect(agent.cgroup('memory', 'memory.max')).toBe(String(memory));
        expect(agent.cgroup('cpu', 'cpu.max')).toBe(`${cpuQuota} 100000`);
      } else {
        expect(agent.cgroup('memory', 'memory.limit_in_bytes')).toBe(String(memory));
        expect(agent.cgroup('cpu', 'cpu.cfs_quota_us')).toBe(String(cpuQuota));
      }
    }

    test('the agent becomes ready within its rights and limits, with nftables', async () => {
      await runAgent(true, (agent) => {
        expectConfined(agent);
        expect(must(['nft', 'list', 'tables'])).toContain('table ip flannel-ipv4');
        expect(must(['nft', 'list', 'ruleset'])).not.toContain('FLANNEL');
      });
    });

    test('the same with iptables, in the variant that the programs without one in their names are', async () => {
      await runAgent(false, (agent) => {
        expectConfined(agent);
        expect(must(['iptables-nft-save', '-t', 'nat'])).toMatch(/-A POSTROUTING .*-j FLANNEL-POSTRTG/);
        expect(must(['iptables-legacy-save'])).not.toContain('FLANNEL');
      });
    });

    test('where the host uses the legacy variant, so does the agent', async () => {
      const hint = '*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n';
      const load = Bun.spawnSync(['iptables-legacy-restore', '--noflush'], { stdin: Buffer.from(hint) });
      expect(load.exitCode).toBe(0);
      await runAgent(false, () => {
        expect(must(['iptables-legacy-save', '-t', 'nat'])).toMatch(/-A POSTROUTING .*-j FLANNEL-POSTRTG/);
        expect(must(['iptables-nft-save'])).not.toContain('FLANNEL');
      });
    });

    test('the init container installs plugins that run on the host, and the conflist; twice changes nothing', async () => {
      const conflist = { name: 'cbr0', cniVersion: '0.3.1', plugins: [{ type: 'flannel' }] };
      writeFileSync(`${FILES}/config/cni-conf.json`, JSON.stringify(conflist));
      await using daemon = await freshDaemon();
      const install = async (): Promise<string> => {
        const start = performance.now();
        await using init = new ImageContainer(daemon, installer, { id: 'install-cni', volumes: VOLUMES });
        expect([await init.exited(), init.log]).toEqual([0, expect.stringContaining('conflist')]);
        measured(`the image's init container: ${(performance.now() - start).toFixed(0)} ms`);
        return init.log;
      };
      expect(await install()).toContain('/opt/cni/bin/bridge: v');
      expect(readdirSync(VOLUMES.cni)).toEqual(['10-flannel.conflist']);
      expect(must([`${VOLUMES['cni-plugin']}/flannel`, '--version'])).toMatch(/^flannel v\d/);
      expect(await install()).not.toMatch(/installed|written/);
    });

    test('every name, and both variants of iptables run', async () => {
      await using daemon = await freshDaemon();
      const said = async (command: string): Promise<string> => {
        const container = { ...flanneld, command: [command], args: ['--version'] };
        await using one = new ImageContainer(daemon, container, { id: 'one', volumes: VOLUMES });
        expect([command, await one.exited()]).toEqual([command, 0]);
        return one.log;
      };
      for (const name of ['flanneld', 'flannelctl', 'flannel', 'bridge', 'host-local', 'loopback', 'portmap'])
        expect(await said(`/opt/bin/${name}`)).toStartWith(`${name} v`);
      for (const family of ['iptables', 'ip6tables']) {
        for (const action of ['', '-save', '-restore']) {
          expect(await said(`${family}${action}`)).toContain('(nf_tables)');
          expect(await said(`${family}-legacy${action}`)).toContain('(legacy)');
        }
      }
    });
  },
  { mounts: true, processes: true },
);
