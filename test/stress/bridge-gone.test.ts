import { beforeAll, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { BIN, coverFolders, traces, WORK } from '../support/cni-machine.ts';
import { eventually } from '../support/eventually.ts';
import { describeInNetns, json, measured, must, NamedNetns, run } from '../support/netns.ts';

const CONFIG = {
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  isGateway: true,
  ipMasq: true,
  ipMasqBackend: 'nftables',
  ipam: { type: 'host-local', subnet: '10.9.0.0/24' },
};

interface Joining {
  readonly netns: string;
  /** Stopped behind this netlink send, the how manyeth of all. */
  readonly send: number;
}

/** An ADD that is stopped once, while `meanwhile` runs. False when it ended before that. */
async function addStopped({ netns, send }: Joining, meanwhile: () => void): Promise<boolean> {
  const inject = `inject=sendto:signal=STOP:when=${send}`;
  const log = `${WORK}/send-${send}`;
  const strace = ['strace', '-o', log, '-e', 'trace=sendto', '-e', inject];
  const child = Bun.spawn([...strace, `${BIN}/bridge`], {
    env: {
      PATH: process.env['PATH'] ?? '',
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'pod',
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: BIN,
    },
    stdin: Buffer.from(JSON.stringify(CONFIG)),
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const plugin = await eventually(() => stoppedOrGone(child, log), 30_000);
  if (plugin !== undefined) {
    meanwhile();
    process.kill(plugin, 'SIGCONT');
  }
  const output = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`stopped behind send ${send}: ${output}`);
  return plugin !== undefined;
}

/** The process under strace once it is stopped; undefined when strace has ended. */
function stoppedOrGone(strace: Bun.Subprocess, log: string): number | undefined {
  if (strace.exitCode !== null) return undefined;
  const said = readFileSync(log, 'utf8');
  if (!said.includes('--- stopped by SIGSTOP ---')) throw new Error(`not stopped yet: ${said}`);
  return Number(readFileSync(`/proc/${strace.pid}/task/${strace.pid}/children`, 'utf8').trim());
}

/** What is there of the pod's way out: its end, the port on the bridge, the gateway's address. */
function wiring(pod: NamedNetns): unknown {
  const [inside] = json(['ip', '-n', pod.name, '-j', 'link', 'show', 'dev', 'eth0']);
  const port = json(['ip', '-j', 'link', 'show', 'type', 'veth']).map(({ master }) => master);
  const bridge = json(['ip', '-j', '-4', 'addr', 'show', 'dev', 'cni0']).flatMap(
    ({ addr_info: list }) => list,
  );
  return { inside: inside?.['operstate'], port, gateways: bridge.length };
}

describeInNetns(
  import.meta.path,
  'a bridge that an ADD joins while another one that failed takes it back',
  () => {
    beforeAll(coverFolders);

    test('it is made again, wherever the joining ADD was', async () => {
      let joined = 0;
      for (let send = 1; send < 40; send += 1) {
        using pod = NamedNetns.create('gone');
        run(['ip', 'link', 'delete', 'cni0']);
        must(['ip', 'link', 'add', 'cni0', 'type', 'bridge']);
        const stopped = await addStopped({ netns: pod.path, send }, () =>
          must(['ip', 'link', 'delete', 'cni0']),
        );
        if (!stopped) break;
        // Behind its last look at the bridge an ADD knows nothing of what becomes of it.
        if (run(['ip', 'link', 'show', 'cni0']).code !== 0) continue;
        joined += 1;
        expect(wiring(pod)).toEqual({ inside: 'UP', port: ['cni0'], gateways: 1 });
        pod.exec(['ping', '-c1', '-W2', '10.9.0.1']);
      }
      measured(`bridge removed under an ADD and made again at ${joined} places`);
      expect(joined).toBeGreaterThan(5);
      // The last pod's pair goes with its namespace, which the kernel takes its time for.
      await eventually(() => expect(traces().filter((line) => line.startsWith('link '))).toEqual([]));
    });
  },
  { mounts: true },
);
