import { beforeAll, expect, test } from 'bun:test';
import { Chain, type NetworkList } from '../support/cni-chain.ts';
import { CLASSIC_LIST, coverFolders, installNode, traces } from '../support/cni-machine.ts';
import { describeInNetns, json, measured, must, NamedNetns, run } from '../support/netns.ts';

const PODS = 200;

interface Pod {
  readonly containerId: string;
  readonly netns: string;
  readonly portMappings: readonly { hostPort: number; containerPort: number; protocol: 'tcp' | 'udp' }[];
}

function makePods(): { namespaces: NamedNetns[]; pods: Pod[] } {
  const namespaces = Array.from({ length: PODS }, () => NamedNetns.create('load'));
  const pods = namespaces.map(({ name, path }, index): Pod => {
    const mapping = {
      hostPort: 20_000 + index,
      containerPort: 80,
      protocol: index % 2 === 0 ? 'tcp' : 'udp',
    } as const;
    // Every second pod publishes a port.
    return { containerId: name, netns: path, portMappings: index % 4 < 2 ? [mapping] : [] };
  });
  return { namespaces, pods };
}

/** Runs `job` for every pod, `limit` at once; returns all results, and throws all that went wrong, not the first alone. */
async function forAll<T>(pods: readonly Pod[], limit: number, job: (pod: Pod) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  const failures: string[] = [];
  const queue = pods.entries();
  const worker = async (): Promise<void> => {
    for (const [index, pod] of queue) {
      try {
        results[index] = await job(pod);
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${pods.length} failed:\n${failures.join('\n')}`);
  return results;
}

/** Everything of pods on the node; their namespaces belong to the test. */
function left(): string[] {
  return traces().filter((line) => !line.startsWith('namespace load-'));
}

interface Round {
  readonly limit: number;
  readonly list: NetworkList;
  /** How many ports there must be in nftables, in either family. */
  readonly mapped?: number;
}

/** The rules that translate, by family. */
function translated(): readonly number[] {
  const text = ['ip', 'ip6'].map((family) => must(['nft', 'list', 'table', family, 'cni_hostport']));
  return text.map((table) => table.match(/ dnat to /g)?.length ?? 0);
}

async function round({ limit, list, mapped }: Round): Promise<void> {
  run(['ip', 'link', 'delete', 'cni0']);
  const { namespaces, pods } = makePods();
  try {
    const chain = new Chain(list);
    const start = performance.now();
    const results = await forAll(pods, limit, async (pod) => chain.add(pod));
    const added = performance.now();
    for (const family of [0, 1]) {
      expect(new Set(results.map(({ ips }) => ips[family]?.address)).size).toBe(PODS);
    }
    // One bridge, whose MAC never moved.
    expect(new Set(results.map(({ interfaces }) => interfaces[0]?.mac)).size).toBe(1);
    expect(new Set(results.map(({ interfaces }) => interfaces[1]?.name)).size).toBe(PODS);
    expect(json(['ip', '-j', 'link', 'show', 'master', 'cni0'])).toHaveLength(PODS);
    if (mapped !== undefined) expect(translated()).toEqual([mapped, mapped]);
    for (const pod of [namespaces[0], namespaces.at(-1)]) pod?.exec(['ping', '-c1', '-W2', '10.244.1.1']);

    const results2 = new Map(pods.map((pod, index) => [pod, results[index] ?? {}]));
    // Half of them goes while the other half is checked; then the rest, every second without what ADD said.
    await forAll(pods, limit, async (pod) => {
      const index = pods.indexOf(pod);
      const result = results2.get(pod) ?? {};
      return index % 2 === 0 ? chain.check(pod, result) : chain.del(pod, result);
    });
    expect(json(['ip', '-j', 'link', 'show', 'master', 'cni0'])).toHaveLength(PODS / 2);
    const rest = pods.filter((_pod, index) => index % 2 === 0);
    await forAll(rest, limit, async (pod) => chain.check(pod, results2.get(pod) ?? {}));
    const checked = performance.now();
    await forAll(rest, limit, async (pod) =>
      chain.del(pod, pods.indexOf(pod) % 4 === 0 ? results2.get(pod) : undefined),
    );
    const end = performance.now();
    const perSecond = (count: number, ms: number) => (count / (ms / 1000)).toFixed(0);
    measured(
      `${PODS} pods, ${limit} at once: ${perSecond(PODS, added - start)} ADD/s, ${perSecond(PODS / 2, end - checked)} DEL/s`,
    );
    expect(left()).toEqual([]);
    for (const pod of namespaces) expect(pod.exec(['ip', '-br', 'link'])).toMatch(/^lo [^\n]*\n$/);
  } finally {
    for (const pod of namespaces) pod[Symbol.dispose]();
  }
}

describeInNetns(
  import.meta.path,
  '200 pods on an empty node',
  () => {
    beforeAll(() => {
      coverFolders();
      installNode();
      must(['ip', 'link', 'set', 'lo', 'up']);
    });

    const list = { ...CLASSIC_LIST, cniVersion: '1.0.0' };

    test('ADD, CHECK and DEL with ports, 20 at once: no duplicate, no error, nothing left', async () => {
      await round({ limit: 20, list });
    });

    test('all 200 at once, twice in a row', async () => {
      const plugins = list.plugins.slice(0, 1);
      await round({ limit: PODS, list: { ...list, plugins } });
      await round({ limit: PODS, list: { ...list, plugins } });
    });

    test('the list with one entry and ports in nftables, all 200 at once, twice in a row', async () => {
      const [flannel = { type: 'flannel' }] = list.plugins;
      const entry = { ...flannel, capabilities: { portMappings: true }, portmap: { backend: 'nftables' } };
      await round({ limit: PODS, list: { ...list, plugins: [entry] }, mapped: PODS / 2 });
      await round({ limit: PODS, list: { ...list, plugins: [entry] }, mapped: PODS / 2 });
    });
  },
  { mounts: true, processes: true },
);
