import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { FAMILIES } from '#net/family.ts';
import { Cidr } from '#net/cidr.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules, type TrafficMode, type TrafficOptions } from '#traffic/rules.ts';
import { describeInNetns, must, run } from '../support/netns.ts';
import { PLACES, TrafficWorld, V4, V6 } from '../support/traffic-world.ts';

const FIXTURES = `${import.meta.dir}/../fixtures/rules`;
const { env } = process;

function rules(options: Partial<TrafficOptions> = {}) {
  return trafficRules({ families: [V4, V6], ipMasq: true, forward: true, randomFully: true, ...options });
}

/** Loads rules of another program, as it would do it itself. */
async function load(name: string, tool = 'iptables'): Promise<void> {
  const stdin = Buffer.from(await Bun.file(`${FIXTURES}/${name}`).text());
  const argv = name.endsWith('.nft') ? ['nft', '-f', '-'] : [`${tool}-restore`, '--noflush'];
  const done = Bun.spawnSync(argv, { stdin, stderr: 'pipe' });
  if (!done.success) throw new Error(`${name}: ${done.stderr.toString()}`);
}

/** All rules but ours, as text: what must stay byte for byte. */
function foreign(): string {
  const saved = ['iptables-nft', 'iptables-legacy', 'ip6tables-nft', 'ip6tables-legacy'].map((tool) => {
    const lines = must([`${tool}-save`]).split('\n');
    return lines.filter((line) => !line.startsWith('#') && !line.includes('FLANNEL-')).join('\n');
  });
  const tables = must(['nft', 'list', 'tables']).split('\n');
  const theirs = tables.filter((line) => line !== '' && !/ flannel-| (filter|nat|mangle)$/.test(line));
  return [...saved, ...theirs.map((line) => must(['nft', 'list', ...line.split(' ')]))]
    .join('\n')
    .replaceAll(/\[\d+:\d+\]/g, '[0:0]');
}

function flush(): void {
  run(['nft', 'flush', 'ruleset']);
  for (const tool of ['iptables-legacy', 'ip6tables-legacy']) {
    run([tool, '-P', 'FORWARD', 'ACCEPT']);
    for (const table of ['filter', 'nat', 'mangle']) {
      run([tool, '-t', table, '-F']);
      run([tool, '-t', table, '-X']);
    }
  }
}

/** Who sees whom where nothing but our rules decides. */
function plainTraffic(world: () => TrafficWorld, families = FAMILIES): void {
  for (const family of families) {
    const at = PLACES[family];
    test(`${family}: pods keep their address inside the pod network and lose it outside`, async () => {
      const { pod, outside } = world();
      expect(await pod.ask('tcp', at.remotePod, 80)).toBe(`outside from ${at.pod}`);
      expect(await pod.ask('tcp', at.outside, 80)).toBe(`outside from ${at.node}`);
      expect(await outside.ask('tcp', at.pod, 80)).toBe(`pod from ${at.outside}`);
    });
  }
}

/** Others' rules stay whatever we do. */
function untouched(mode: TrafficMode): void {
  test('nothing of the others is touched', async () => {
    const { backend, clearOther } = createTraffic({ mode, env });
    await backend.clear();
    const before = foreign();
    await backend.ensure(rules());
    expect(foreign()).toBe(before);
    await clearOther();
    await backend.ensure(rules({ ipMasq: false }));
    await backend.ensure(rules());
    expect(await backend.ensure(rules())).toMatchObject({ changed: false, repaired: [] });
    expect(foreign()).toBe(before);
    await backend.clear();
    expect(foreign()).toBe(before);
    await backend.ensure(rules());
  });
}

/** Packets that a rule of ours in iptables masqueraded; nft's rules of ours have no counters. */
function masqueraded(): number {
  return ['iptables-nft-save', 'iptables-legacy-save']
    .flatMap((tool) => must([tool, '-c']).split('\n'))
    .map((line) => Number(/^\[(\d+):\d+\] -A FLANNEL-POSTRTG .* MASQUERADE/.exec(line)?.[1] ?? 0))
    .reduce((sum, packets) => sum + packets, 0);
}

/** Services by kube-proxy: what it marks is masqueraded by it, once, and nothing else is. */
function services(world: () => TrafficWorld): void {
  const at = PLACES.ipv4;
  test('a service is seen from the pod itself, and from the node where kube-proxy marks', async () => {
    const { pod, node } = world();
    expect(await pod.ask('tcp', '10.96.0.10', 80)).toBe(`outside from ${at.pod}`);
    expect(await node.ask('tcp', '10.96.0.10', 80)).toBe(`outside from ${at.node}`);
    // The node port, from a pod and from the machine that has the endpoint itself: masqueraded for the way back.
    expect(await pod.ask('tcp', at.node, 30_080)).toBe(`outside from ${at.node}`);
    expect(await world().outside.ask('tcp', at.node, 30_080)).toBe(`outside from ${at.node}`);
    expect(masqueraded()).toEqual(0);
  });
}

for (const mode of ['iptables', 'nftables'] as const) {
  describeInNetns(import.meta.path, `packets, ${mode}`, () => {
    let made: TrafficWorld;
    const world = () => made;
    beforeEach(async () => {
      made ??= await TrafficWorld.create();
    });
    afterAll(() => made[Symbol.asyncDispose]());

    describe('alone', () => {
      beforeEach(async () => {
        flush();
        await createTraffic({ mode, env }).backend.ensure(rules());
      });
      plainTraffic(world);
    });

    describe('excluded networks', () => {
      beforeEach(async () => {
        flush();
        const exclude = ['192.168.50.12/32', 'fd50::/64'].map((text) => Cidr.parse(text));
        await createTraffic({ mode, env }).backend.ensure(rules({ exclude }));
      });
      for (const family of FAMILIES) {
        const at = PLACES[family];
        test(`${family}: see the pod's own address`, async () => {
          expect(await world().pod.ask('tcp', at.outside, 80)).toBe(`outside from ${at.pod}`);
          expect(await world().pod.ask('tcp', at.remotePod, 80)).toBe(`outside from ${at.pod}`);
        });
      }
    });

    for (const tool of ['iptables-nft', 'iptables-legacy']) {
      describe(`kube-proxy in iptables mode, ${tool}`, () => {
        beforeEach(async () => {
          flush();
          await load('kube-proxy.iptables', tool);
          await createTraffic({ mode, env }).backend.ensure(rules());
        });
        plainTraffic(world);
        services(world);
        untouched(mode);
      });

      describe(`docker's policy drop, ${tool}`, () => {
        beforeEach(async () => {
          flush();
          await load('kube-proxy.iptables', tool);
          await load('docker.iptables', tool);
        });
        test('drops what nobody accepts', async () => {
          expect(await world().pod.ask('tcp', PLACES.ipv4.remotePod, 80)).toBeUndefined();
        });
        if (mode === 'iptables') {
          describe('with our rules', () => {
            beforeEach(() => createTraffic({ mode, env }).backend.ensure(rules()));
            plainTraffic(world);
            services(world);
            untouched(mode);
          });
        } else if (tool === 'iptables-nft') {
          test('drops what another table accepts, and is named', async () => {
            const { backend } = createTraffic({ mode, env });
            await backend.ensure(rules());
            expect(await world().pod.ask('tcp', PLACES.ipv4.remotePod, 80)).toBeUndefined();
            expect(backend.drops?.(rules())).toEqual(['chain FORWARD of table ip filter']);
            // What we say helps.
            must([tool, '-I', 'DOCKER-USER', '-s', '10.244.0.0/16', '-j', 'ACCEPT']);
            must([tool, '-I', 'DOCKER-USER', '-d', '10.244.0.0/16', '-j', 'ACCEPT']);
            expect(await world().pod.ask('tcp', PLACES.ipv4.remotePod, 80)).toBe('outside from 10.244.1.2');
          });
        }
      });
    }

    test('a firewall of nftables that drops is named, in both modes', async () => {
      flush();
      const { backend } = createTraffic({ mode, env });
      await backend.ensure(rules());
      expect(backend.drops?.(rules())).toEqual([]);
      must([
        'nft',
        'add table inet fw; add chain inet fw gate { type filter hook forward priority 10; policy drop; }',
      ]);
      // Chains of every kind beside it are no obstacle.
      must([
        'nft',
        'add table netdev n; add table bridge b; add chain bridge b f { type filter hook forward priority 0; policy drop; }',
      ]);
      must([
        'nft',
        'add chain netdev n i { type filter hook ingress device "eth0" priority 0; policy drop; }',
      ]);
      must(['nft', 'add table arp a; add chain arp a i { type filter hook input priority 0; policy drop; }']);
      expect(backend.drops?.(rules())).toEqual(['chain gate of table inet fw']);
      expect(backend.drops?.(rules({ forward: false }))).toEqual([]);
    });

    describe('kube-proxy in nftables mode', () => {
      for (const first of ['theirs', 'ours']) {
        describe(`${first} first`, () => {
          beforeEach(async () => {
            flush();
            const { backend } = createTraffic({ mode, env });
            if (first === 'ours') await backend.ensure(rules());
            await load('kube-proxy.nft');
            await backend.ensure(rules());
          });
          plainTraffic(world);
          services(world);
          untouched(mode);
        });
      }
    });
  });
}
