import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { AgentWorld, N2, readyz } from '../support/agent-world.ts';
import { certificate } from '../support/certificate.ts';
import { coverFolders } from '../support/cni-machine.ts';
import { Containerd } from '../support/containerd.ts';
import { timeUntil } from '../support/eventually.ts';
import { ARCHIVE, IMAGE_FOLDER, IMAGE_NAME, LoopDisk, writeImage } from '../support/image.ts';
import { ImageContainer, LIMITS } from '../support/image-container.ts';
import { describeInNetns, insideNetns, measured, must } from '../support/netns.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const DISK = '/mnt/disk';
const FILES = '/mnt/files';
/** As /proc/<pid>/status has it: bits 12 and 13 of `linux/capability.h`. */
const NET_ADMIN_AND_NET_RAW = '0000000000003000';

const FLAGS = ['--ip-masq', '--kube-subnet-mgr', '--healthz-ip=127.0.0.1', '--healthz-port=10256'];

interface AgentRun {
  readonly nftables: boolean;
  readonly log: (agent: ImageContainer) => void;
}

// The namespaces of the blocks below have no way to a registry.
if (!insideNetns()) beforeAll(() => void writeImage('amd64,arm64'), 300_000);

describeInNetns(
  import.meta.path,
  'the image in containerd and runc',
  () => {
    const tls = certificate();
    let disk: LoopDisk | undefined;
    let namespace = '';
    beforeAll(async () => {
      coverFolders();
      must(['ip', 'link', 'set', 'lo', 'up']);
      for (const path of [`${FILES}/account`, `${FILES}/config`]) mkdirSync(path, { recursive: true });
      writeFileSync(`${FILES}/account/ca.crt`, tls.cert);
      writeFileSync(`${FILES}/account/token`, 'token-of-the-pod');
      writeFileSync(`${FILES}/xtables.lock`, '');
      disk = new LoopDisk(`${IMAGE_FOLDER}/disk-${process.pid}.img`, DISK, 600);
      await using daemon = await Containerd.start(`${DISK}/containerd`);
      const { code, stdout, stderr } = daemon.ctr(['image', 'import', ARCHIVE]);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain(`unpacking ${IMAGE_NAME}`);
      namespace = daemon.namespace;
    });
    afterAll(() => disk?.[Symbol.dispose]());

    /** As after a boot: nothing of the image is in memory. */
    async function freshDaemon(): Promise<Containerd> {
      disk?.unmount();
      disk?.mount();
      return Containerd.start(`${DISK}/containerd`, namespace);
    }

    async function runAgent({ nftables, log }: AgentRun): Promise<void> {
      const netConf = { Network: '10.244.0.0/16', EnableNFTables: nftables, Backend: { Type: 'vxlan' } };
      const text = JSON.stringify(netConf);
      await using world = await AgentWorld.create({ netConf: text, api: { tls, token: 'token-of-the-pod' } });
      world.addNode('n1', { podCidrs: ['10.244.1.0/24'] });
      world.addPeer('n2', N2);
      writeFileSync(`${FILES}/config/net-conf.json`, text);
      rmSync('/run/flannel/subnet.env', { force: true });
      await using daemon = await freshDaemon();
      await using agent = new ImageContainer(daemon, {
        image: IMAGE_NAME,
        id: 'agent',
        argv: ['/opt/bin/flanneld', ...FLAGS],
        mounts: {
          '/run/flannel': '/run/flannel:rw',
          '/run/xtables.lock': `${FILES}/xtables.lock:rw`,
          '/etc/kube-flannel': `${FILES}/config:ro`,
          [ACCOUNT]: `${FILES}/account:ro`,
        },
        env: {
          NODE_NAME: 'n1',
          KUBERNETES_SERVICE_HOST: '127.0.0.1',
          KUBERNETES_SERVICE_PORT: String(world.api.port),
        },
        capabilities: ['NET_ADMIN', 'NET_RAW'],
      });
      const ms = await timeUntil(async () => {
        const text = agent.running ? (await readyz()).text : `ended: ${agent.log}`;
        expect(text).toBe('ready\n');
      }, 30_000);
      log(agent);
      measured(
        `the image's agent, ${nftables ? 'nftables' : 'iptables'}, from a cold disk, ready in ${ms.toFixed(0)} ms`,
      );
      expect(must(['ip', 'route'])).toContain('10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink');
      expect(readFileSync('/run/flannel/subnet.env', 'utf8')).toContain('FLANNEL_SUBNET=10.244.1.1/24');
      expect(agent.log).not.toMatch(/ERROR|modprobe|read-only/i);
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
      if (existsSync('/sys/fs/cgroup/cgroup.controllers')) {
        expect(agent.cgroup('memory', 'memory.max')).toBe(String(LIMITS.memory));
        expect(agent.cgroup('cpu', 'cpu.max')).toBe('10000 100000');
      } else {
        expect(agent.cgroup('memory', 'memory.limit_in_bytes')).toBe(String(LIMITS.memory));
        expect(agent.cgroup('cpu', 'cpu.cfs_quota_us')).toBe('10000');
        const peak = Number(agent.cgroup('memory', 'memory.max_usage_in_bytes')) / 1024 / 1024;
        measured(`its memory, file cache included: at most ${peak.toFixed(1)} of 50 MiB`);
      }
    }

    test('the agent becomes ready within its rights and limits, with nftables', async () => {
      await runAgent({ nftables: true, log: expectConfined });
      expect(must(['nft', 'list', 'ruleset'])).not.toContain('FLANNEL');
    });

    test('the same with iptables, and its rules are there', async () => {
      const log = (agent: ImageContainer): void => {
        expectConfined(agent);
        expect(must(['iptables-nft-save', '-t', 'nat'])).toContain('-A POSTROUTING');
        expect(must(['iptables-nft-save', '-t', 'nat'])).toContain('FLANNEL-POSTRTG');
        expect(must(['iptables-legacy-save'])).not.toContain('FLANNEL');
      };
      await runAgent({ nftables: false, log });
    });

    test('where the host uses the legacy variant, so does the agent', async () => {
      const hint = '*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n';
      const load = Bun.spawnSync(['iptables-legacy-restore', '--noflush'], { stdin: Buffer.from(hint) });
      expect(load.exitCode).toBe(0);
      const log = (): void => {
        expect(must(['iptables-legacy-save', '-t', 'nat'])).toContain('FLANNEL-POSTRTG');
        expect(must(['iptables-nft-save'])).not.toContain('FLANNEL');
      };
      await runAgent({ nftables: false, log });
    });

    test('as init container it installs plugins that run on the host, and the conflist', async () => {
      const conflist = { name: 'cbr0', cniVersion: '0.3.1', plugins: [{ type: 'flannel' }] };
      writeFileSync(`${FILES}/config/cni-conf.json`, JSON.stringify(conflist));
      await using daemon = await freshDaemon();
      // On the disk: what is written to a tmpfs would count as the container's memory.
      const [bin, netd] = [`${DISK}/host/bin`, `${DISK}/host/net.d`];
      for (const path of [bin, netd]) mkdirSync(path, { recursive: true });
      const install = async (): Promise<string> => {
        await using init = new ImageContainer(daemon, {
          image: IMAGE_NAME,
          id: 'install-cni',
          argv: ['/opt/bin/flannelctl', 'install-cni'],
          mounts: {
            '/opt/cni/bin': `${bin}:rw`,
            '/etc/cni/net.d': `${netd}:rw`,
            '/etc/kube-flannel': `${FILES}/config:ro`,
          },
        });
        expect([await init.exited(), init.log]).toEqual([0, expect.stringContaining('conflist')]);
        return init.log;
      };
      const start = performance.now();
      expect(await install()).toContain('/opt/cni/bin/bridge: v');
      measured(`install-cni from a cold disk: ${(performance.now() - start).toFixed(0)} ms`);
      expect(readdirSync(netd)).toEqual(['10-flannel.conflist']);
      expect(must([`${bin}/flannel`, '--version'])).toMatch(/^flannel v\d/);
      expect(await install()).toContain('already');
    });

    test('every name, both variants of iptables, and the entry point run', async () => {
      await using daemon = await freshDaemon();
      const said = async (argv: readonly string[]): Promise<string> => {
        const capabilities = ['NET_ADMIN', 'NET_RAW'];
        await using one = new ImageContainer(daemon, { image: IMAGE_NAME, id: 'one', argv, capabilities });
        expect([await one.exited(), one.log]).toEqual([0, expect.stringMatching(/./)]);
        return one.log;
      };
      for (const name of ['flanneld', 'flannelctl', 'flannel', 'bridge', 'host-local', 'loopback', 'portmap'])
        expect(await said([`/opt/bin/${name}`, '--version'])).toStartWith(`${name} v`);
      for (const family of ['iptables', 'ip6tables']) {
        for (const [variant, kind] of [
          ['', 'nf_tables'],
          ['-nft', 'nf_tables'],
          ['-legacy', 'legacy'],
        ]) {
          for (const action of ['', '-save', '-restore'])
            expect(await said([`${family}${variant}${action}`, '--version'])).toContain(`(${kind})`);
        }
      }
    });
  },
  { mounts: true, processes: true, timeoutMs: 120_000 },
);
