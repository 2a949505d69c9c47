import { beforeAll, expect, test } from 'bun:test';
import { BIN, coverFolders, installNode, traces, WORK } from '../support/cni-machine.ts';
import { findKillPoints, killAt, type KillPoint, type TracedCall } from '../support/kill-points.ts';
import { describeInNetns, measured, must, NamedNetns, run } from '../support/netns.ts';

const FLANNEL = {
  cniVersion: '1.0.0',
  name: 'cbr0',
  type: 'flannel',
  // Masquerading on: nf_tables are written, too.
  delegate: { hairpinMode: true, isDefaultGateway: true, ipMasq: true },
};

/**
 * The store's own leftovers, which hold no address and do not add up: one unfinished file for a network, one side file for
 * an address, written anew when that is next used.
 */
const BOUNDED = /^file \/var\/lib\/cni\/networks\/cbr0\/\.(new$|boot\/)/;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
}

/** One plugin and one pod. */
class Subject {
  readonly #plugin: string;
  readonly #pod: NamedNetns;
  readonly #config: object;

  constructor(plugin: string, pod: NamedNetns, config: object) {
    this.#plugin = plugin;
    this.#pod = pod;
    this.#config = config;
  }

  traced(command: string): TracedCall {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'pod',
      CNI_NETNS: this.#pod.path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: BIN,
    };
    return { argv: [`${BIN}/${this.#plugin}`], env, stdin: JSON.stringify(this.#config) };
  }

  call(command: string): Outcome {
    const { argv, env, stdin } = this.traced(command);
    const done = Bun.spawnSync([...argv], { env, stdin: Buffer.from(stdin), stdout: 'pipe', stderr: 'pipe' });
    return { code: done.exitCode, stdout: done.stdout.toString() };
  }

  must(command: string): string {
    const { code, stdout } = this.call(command);
    if (code !== 0) throw new Error(`${this.#plugin} ${command}: ${stdout}`);
    return stdout;
  }

  /** What is left of the pod on the node and in its namespace. */
  left(): string[] {
    const inside = this.#pod
      .exec(['ip', '-br', 'link'])
      .split('\n')
      .filter((line) => !/^lo |^$/.test(line));
    const onNode = traces().filter((line) => !line.startsWith('namespace ') && !BOUNDED.test(line));
    return [...onNode, ...inside];
  }
}

/** The very first pod of a node makes more than later ones: bridge, folders. */
function emptyNode(): void {
  run(['rm', '-rf', '/var/lib/cni']);
  run(['ip', 'link', 'delete', 'cni0']);
}

/** Kills `command` at every point; `after` says what is wrong then. Everything that is wrong is reported, by system call. */
function killEverywhere(subject: Subject, command: 'ADD' | 'DEL', after: (point: KillPoint) => void): void {
  const prepareCall = (): void => {
    if (command === 'DEL') subject.must('ADD');
    else emptyNode();
  };
  prepareCall();
  const points = findKillPoints(subject.traced(command), `${WORK}/strace`);
  if (command === 'ADD') subject.must('DEL');
  const wrong: string[] = [];
  let killed = 0;
  for (const point of points) {
    prepareCall();
    if (killAt(subject.traced(command), point)) killed += 1;
    try {
      after(point);
    } catch (error) {
      wrong.push(`killed before ${point.line}:\n   ${String(error)}`);
      subject.call('DEL');
      emptyNode();
      run(['nft', 'flush', 'ruleset']);
    }
  }
  measured(`${command} killed at ${killed} of ${points.length} system calls`);
  if (wrong.length > 0) throw new Error(`${wrong.length} of ${points.length}:\n${wrong.join('\n')}`);
  expect(killed).toBeGreaterThan(points.length * 0.8);
}

function expectNothing(subject: Subject, when: string): void {
  const left = subject.left();
  if (left.length > 0) throw new Error(`${when}: ${left.join('; ')}`);
}

function prepare(): void {
  coverFolders();
  installNode();
  must(['ip', 'link', 'set', 'lo', 'up']);
}

const OPTIONS = { mounts: true, processes: true };

describeInNetns(
  import.meta.path,
  'flannel with bridge and host-local, killed at each system call',
  () => {
    beforeAll(prepare);

    test('ADD: DEL takes everything away, ADD then succeeds', () => {
      using pod = NamedNetns.create('kill');
      const subject = new Subject('flannel', pod, FLANNEL);
      killEverywhere(subject, 'ADD', () => {
        subject.must('DEL');
        expectNothing(subject, 'after DEL');
        subject.must('ADD');
        subject.must('DEL');
        expectNothing(subject, 'after ADD and DEL');
      });
    });

    test('ADD: another ADD succeeds, or refuses because the interface is there; DEL takes everything away', () => {
      using pod = NamedNetns.create('kill');
      const subject = new Subject('flannel', pod, FLANNEL);
      killEverywhere(subject, 'ADD', () => {
        const { code, stdout } = subject.call('ADD');
        if (code !== 0 && !stdout.includes('already has an interface'))
          throw new Error(`ADD again: ${stdout}`);
        subject.must('DEL');
        expectNothing(subject, 'after DEL');
      });
    });

    test('DEL: another DEL takes everything away', () => {
      using pod = NamedNetns.create('kill');
      const subject = new Subject('flannel', pod, FLANNEL);
      killEverywhere(subject, 'DEL', () => {
        subject.must('DEL');
        expectNothing(subject, 'after the second DEL');
      });
    });
  },
  OPTIONS,
);

for (const backend of ['iptables', 'nftables'])
  describeInNetns(
    import.meta.path,
    `portmap with ${backend}, killed at each system call`,
    () => {
      beforeAll(() => {
        prepare();
        // A way to the pod.
        must(['ip', 'link', 'add', 'pods', 'type', 'bridge']);
        must(['ip', 'addr', 'add', '10.244.1.1/24', 'dev', 'pods']);
        must(['ip', 'link', 'set', 'pods', 'up']);
      });
      const config = {
        cniVersion: '1.0.0',
        name: 'cbr0',
        type: 'portmap',
        backend,
        prevResult: {
          interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/kill' }],
          ips: [
            { interface: 0, address: '10.244.1.9/24' },
            { interface: 0, address: '2001:cafe:42:1::9/64' },
          ],
        },
        runtimeConfig: {
          portMappings: [
            { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
            { hostPort: 8053, containerPort: 53, protocol: 'udp', hostIP: '127.0.0.1' },
          ],
        },
      };

      test('ADD: another ADD completes it, DEL takes everything away', () => {
        using pod = NamedNetns.create('kill');
        const subject = new Subject('portmap', pod, config);
        killEverywhere(subject, 'ADD', () => {
          subject.must('ADD');
          subject.must('CHECK');
          if (backend === 'nftables') {
            const rules = must(['nft', 'list', 'ruleset']).split('\n');
            const own = rules.filter((line) => line.includes('"pod"'));
            if (new Set(own).size !== own.length) throw new Error(`rules twice: ${own.join('\n')}`);
          }
          subject.must('DEL');
          expectNothing(subject, 'after DEL');
        });
      });

      test('DEL: another DEL takes everything away', () => {
        using pod = NamedNetns.create('kill');
        const subject = new Subject('portmap', pod, config);
        killEverywhere(subject, 'DEL', () => {
          subject.must('DEL');
          expectNothing(subject, 'after the second DEL');
        });
      });
    },
    OPTIONS,
  );
