// Chains of CNI plugins, ours and Debian's, and their calls as a container runtime makes them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { Netns, withNetns } from '#ffi/netns.ts';
import { pluginConfiguration, type CniObject, type Conflist } from '#lab/cni/conflist.ts';
import { must } from './report.ts';

const BIN = new URL('../../dist/bin', import.meta.url).pathname;
const DEBIAN = '/usr/lib/cni';
/** Debian's plugins and a stand-in for `flannel` (stand-in.mjs). */
const STAND_IN = new URL('../../dist/bench/reference', import.meta.url).pathname;
const NETWORK = '10.44.0.0/16';
const SUBNET = '10.44.1.0/24';

/** A plugin that failed: its own words are the message. */
export class CallFailed extends Error {}

export type Verb = 'ADD' | 'DEL';

/** Two ports of the node for each pod, none of them shared. */
function portMappings(pod: number): readonly CniObject[] {
  return [
    { hostPort: 20_000 + pod, containerPort: 80, protocol: 'tcp' },
    { hostPort: 30_000 + pod, containerPort: 53, protocol: 'udp' },
  ];
}

export interface ChainOptions {
  readonly name: string;
  readonly dir: string;
  readonly plugins: Conflist['plugins'];
  /** Whether each pod has two port mappings. */
  readonly mapped: boolean;
}

/** A chain with a node of its own (a network namespace) and pods that are used again and again. */
export class Chain {
  readonly name: string;
  readonly mapped: boolean;
  readonly #dir: string;
  readonly #conflist: Conflist;
  readonly #key: string;
  readonly #node: Netns;
  readonly #results = new Map<number, CniObject>();

  constructor(options: ChainOptions, index: number) {
    this.name = options.name;
    this.mapped = options.mapped;
    this.#dir = options.dir;
    this.#conflist = { name: 'cbr0', cniVersion: '1.0.0', plugins: options.plugins };
    this.#key = `c${index}`;
    must(['ip', 'netns', 'add', this.#key]);
    must(['ip', '-n', this.#key, 'link', 'set', 'lo', 'up']);
    this.#node = Netns.open(`/run/netns/${this.#key}`);
  }

  makePods(count: number): void {
    for (let pod = 0; pod < count; pod += 1) must(['ip', 'netns', 'add', `${this.#key}-${pod}`]);
  }

  /** The whole chain for one pod, nothing else running; returns ms. */
  runAlone(verb: Verb, pod: number): number {
    const start = performance.now();
    for (const index of this.#order(verb)) {
      const options = this.#invocation(verb, pod, index);
      const done = withNetns(this.#node, () => Bun.spawnSync([this.#program(index)], options));
      this.#finished(verb, { pod, index }, { ...done, stdout: done.stdout.toString() });
    }
    return performance.now() - start;
  }

  /** As `runAlone`, beside others. */
  async run(verb: Verb, pod: number): Promise<void> {
    for (const index of this.#order(verb)) {
      const options = this.#invocation(verb, pod, index);
      const child = withNetns(this.#node, () => Bun.spawn([this.#program(index)], options));
      const [stdout, stderr, exitCode] = await Promise.all([
        child.stdout.text(),
        child.stderr.text(),
        child.exited,
      ]);
      this.#finished(verb, { pod, index }, { stdout, stderr, exitCode });
    }
  }

  /** DEL goes from the last plugin to the first. */
  #order(verb: Verb): readonly number[] {
    const indexes = [...this.#conflist.plugins.keys()];
    return verb === 'ADD' ? indexes : indexes.reverse();
  }

  #program(index: number): string {
    return `${this.#dir}/${this.#conflist.plugins[index]?.type}`;
  }

  #invocation(verb: Verb, pod: number, index: number) {
    const configuration = pluginConfiguration({
      conflist: this.#conflist,
      index,
      prevResult: verb === 'ADD' && index === 0 ? undefined : this.#results.get(pod),
      capabilityArgs: this.mapped ? { portMappings: portMappings(pod) } : {},
    });
    return {
      stdin: new TextEncoder().encode(JSON.stringify(configuration)),
      stdout: 'pipe',
      stderr: 'pipe',
      env: {
        PATH: process.env['PATH'] ?? '',
        CNI_COMMAND: verb,
        CNI_CONTAINERID: `${this.#key}-${pod}`,
        CNI_NETNS: `/run/netns/${this.#key}-${pod}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: this.#dir,
      },
    } as const;
  }

  #finished(
    verb: Verb,
    { pod, index }: { pod: number; index: number },
    done: { readonly stdout: string; readonly stderr: { toString(): string }; readonly exitCode: number },
  ): void {
    if (done.exitCode !== 0) {
      const plugin = this.#program(index);
      const words = [saidOnStdout(done.stdout), done.stderr.toString().trim()].filter((text) => text !== '');
      throw new CallFailed(`${this.name}: ${verb} of ${plugin} failed: ${words.join('; ')}`);
    }
    if (verb === 'ADD') this.#results.set(pod, JSON.parse(done.stdout) as CniObject);
  }
}

/** `msg` and `details` of the spec's error object, else the text as it is. */
function saidOnStdout(text: string): string {
  try {
    const { msg, details } = JSON.parse(text) as { readonly msg?: string; readonly details?: string };
    return [msg, details].filter((part) => part !== undefined && part !== '').join(': ');
  } catch {
    return text.trim();
  }
}

/**
 * The chains side by side, the references first, `A` and `B`. Debian has no `flannel` plugin: its `bridge` gets what
 * `flannel` would have made of `subnet.env`, from us or from the stand-in. `folder` is for everything that plugins keep.
 */
export function makeChains(folder: string, mapped: boolean): readonly Chain[] {
  const subnetFile = `${folder}/subnet.env`;
  const gateway = SUBNET.replace('.0/', '.1/');
  const lines = [
    `FLANNEL_NETWORK=${NETWORK}`,
    `FLANNEL_SUBNET=${gateway}`,
    'FLANNEL_MTU=1450',
    'FLANNEL_IPMASQ=true',
  ];
  writeFileSync(subnetFile, `${lines.join('\n')}\n`);
  const variants = mapped ? ['nftables', 'iptables'] : [undefined];
  const options: Omit<ChainOptions, 'mapped'>[] = [
    { name: 'A: bridge, portmap', dir: DEBIAN, plugins: [debianBridge(folder), portmap()] },
    { name: 'B: stand-in, portmap', dir: STAND_IN, plugins: [flannel(folder, subnetFile), portmap()] },
    ...variants.map((backend) => ({
      name: labelled('ours: flannel, one entry', backend),
      dir: BIN,
      plugins: [oneEntry(flannel(folder, subnetFile), backend)],
    })),
    ...variants.map((backend) => ({
      name: labelled('ours: flannel, portmap', backend),
      dir: BIN,
      plugins: [flannel(folder, subnetFile), portmap(backend)],
    })),
  ];
  return options.map((entry, at) => {
    const index = (mapped ? 100 : 0) + at;
    const plugins = entry.plugins.map((plugin) => ownStore(plugin, `${folder}/c${index}`));
    return new Chain({ ...entry, plugins, mapped }, index);
  });
}

function labelled(name: string, backend: string | undefined): string {
  return backend === undefined ? name : `${name} (${backend})`;
}

type Plugin = Conflist['plugins'][number];

function debianBridge(folder: string): Plugin {
  return {
    type: 'bridge',
    mtu: 1450,
    ipMasq: false,
    isGateway: true,
    isDefaultGateway: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      dataDir: folder,
      ranges: [[{ subnet: SUBNET }]],
      routes: [{ dst: NETWORK }],
    },
  };
}

function flannel(folder: string, subnetFile: string): Plugin {
  return {
    type: 'flannel',
    subnetFile,
    dataDir: `${folder}/flannel`,
    delegate: { hairpinMode: true, isDefaultGateway: true },
    ipam: { type: 'host-local', dataDir: folder },
  };
}

function portmap(backend?: string): Plugin {
  return {
    type: 'portmap',
    capabilities: { portMappings: true },
    ...(backend === undefined ? {} : { backend }),
  };
}

function oneEntry(plugin: Plugin, backend: string | undefined): Plugin {
  const keys = backend === undefined ? {} : { portmap: { backend } };
  return { ...plugin, ...keys, capabilities: { portMappings: true } };
}

/** Reservations and kept configurations of one chain's node. */
function ownStore(plugin: Plugin, folder: string): Plugin {
  mkdirSync(folder, { recursive: true });
  const { dataDir, ipam } = plugin as Plugin & { readonly dataDir?: string; readonly ipam?: CniObject };
  return {
    ...plugin,
    ...(dataDir === undefined ? {} : { dataDir: `${folder}/flannel` }),
    ...(ipam === undefined ? {} : { ipam: { ...ipam, dataDir: folder } }),
  };
}
