import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { createTraffic } from '#traffic/create.ts';
import { FakeTraffic } from '#traffic/fake.ts';
import type { TrafficBackend } from '#traffic/port.ts';
import { trafficRules, type FamilyNetwork, type TrafficOptions } from '#traffic/rules.ts';
import { describeInNetns, must } from '../support/netns.ts';

const V4 = { network: [Cidr.parse('10.244.0.0/16')], subnet: Cidr.parse('10.244.1.0/24') };
const V6 = { network: [Cidr.parse('2001:cafe:42::/56')], subnet: Cidr.parse('2001:cafe:42:1::/64') };

/** Networks that tools print in forms of their own. */
const EXCLUDE = [
  '10.0.0.0/8',
  '192.0.2.128/25',
  '198.51.100.7/32',
  '0.0.0.0/0',
  'fd00::/8',
  '64:ff9b::/96',
  '::ffff:0:0/96',
  '::/0',
  '::/96',
  '2001:db8::1/128',
  '2001:db8:0:1:1:1:1:1/128',
].map((text) => Cidr.parse(text));

function overlaid(family: FamilyNetwork, source: string): FamilyNetwork {
  return { ...family, overlay: { source: Ip.parse(source), port: 8472 } };
}

function rules(options: Partial<TrafficOptions> = {}) {
  return trafficRules({ families: [V4, V6], ipMasq: true, forward: true, randomFully: true, ...options });
}

/** A backend with what a test does behind its back. */
interface Harness {
  readonly backend: TrafficBackend;
  /** Ways to break our rules, each in the family under test. */
  readonly faults: Readonly<Record<string, (family: 4 | 6) => void>>;
  /** Puts another program's rules there. */
  addForeign(): void;
  /** Those rules as text. */
  foreign(): string;
  /** All of ours as text, for equality. */
  ours(): string;
}

function contract(harness: Harness): void {
  const { backend } = harness;

  test('the first call writes, the second finds everything in place', async () => {
    harness.addForeign();
    const first = await backend.ensure(rules());
    expect(first.changed).toBe(true);
    expect(first.repaired.length).toBeGreaterThan(0);
    const written = harness.ours();
    expect(await backend.ensure(rules())).toEqual({ changed: false, repaired: [] });
    expect(harness.ours()).toBe(written);
  });

  for (const family of [4, 6] as const) {
    for (const [fault, make] of Object.entries(harness.faults)) {
      test(`IPv${family}: rules ${fault} are put back, and nothing else is touched`, async () => {
        await backend.ensure(rules());
        const [ours, foreign] = [harness.ours(), harness.foreign()];
        expect(await backend.compare(rules())).toEqual([]);
        make(family);
        const broken = harness.ours();
        expect(broken).not.toBe(ours);
        const found = await backend.compare(rules());
        expect(harness.ours()).toBe(broken);
        const { changed, repaired } = await backend.ensure(rules());
        expect(changed).toBe(true);
        expect(repaired).toEqual([...found]);
        expect(repaired.join('\n')).toMatch(family === 4 ? /table ip |iptables / : /table ip6 |ip6tables /);
        expect(harness.ours()).toBe(ours);
        expect(harness.foreign()).toBe(foreign);
        expect(await backend.ensure(rules())).toEqual({ changed: false, repaired: [] });
      });
    }
  }

  test('a new subnet, masquerading off and a family off are followed both ways', async () => {
    await backend.ensure(rules());
    const full = harness.ours();
    const moved = { ...V4, subnet: Cidr.parse('10.244.9.0/24') };
    const variants = [
      rules({ families: [moved, V6] }),
      rules({ ipMasq: false }),
      rules({ forward: false }),
      rules({ randomFully: false }),
      rules({ exclude: EXCLUDE }),
      rules({ families: [overlaid(V4, '10.244.200.1'), overlaid(V6, '2001:cafe:42:2::1')] }),
      rules({ families: [V4] }),
      rules({ families: [V6] }),
    ];
    for (const variant of variants) {
      expect((await backend.ensure(variant)).changed).toBe(true);
      expect(harness.ours()).not.toBe(full);
      expect((await backend.ensure(variant)).changed).toBe(false);
      expect((await backend.ensure(rules())).changed).toBe(true);
      expect(harness.ours()).toBe(full);
    }
  });

  test('clear removes ours and nothing else, and says what there was', async () => {
    await backend.ensure(rules());
    const foreign = harness.foreign();
    const traces = await backend.traces();
    expect(traces.length).toBeGreaterThan(1);
    expect((await backend.clear()).removed).toEqual(traces);
    expect(await backend.traces()).toEqual([]);
    expect(harness.ours()).toBe('');
    expect(harness.foreign()).toBe(foreign);
    expect(await backend.clear()).toEqual({ removed: [] });
  });

  test('an aborted call writes nothing and throws the reason', async () => {
    await backend.clear();
    const reason = new Error('stopping');
    const thrown: unknown = await backend
      .ensure(rules(), AbortSignal.abort(reason))
      .catch((error: unknown) => error);
    expect(thrown).toBe(reason);
    expect(harness.ours()).toBe('');
  });
}

function fakeHarness(): Harness {
  const backend = new FakeTraffic();
  const name = (family: 4 | 6) => `flannel-ipv${family}`;
  const edit = (family: 4 | 6, change: (chains: { rules: readonly unknown[] }[]) => unknown) => {
    const table = structuredClone(backend.tables.get(name(family)));
    if (table === undefined) throw new Error('nothing to break');
    change(table.chains as unknown as { rules: readonly unknown[] }[]);
    backend.tables.set(name(family), table);
  };
  const text = (ours: boolean) =>
    [...backend.tables.values()]
      .filter((table) => table.name.startsWith('flannel-') === ours)
      .map((table) => Bun.inspect(table, { depth: 12 }))
      .sort()
      .join('\n');
  return {
    backend,
    faults: {
      emptied: (family) => edit(family, (chains) => chains.forEach((chain) => (chain.rules = []))),
      deleted: (family) => void backend.tables.delete(name(family)),
      reordered: (family) =>
        edit(family, (chains) => chains.forEach((chain) => (chain.rules = [...chain.rules].reverse()))),
    },
    addForeign: () => backend.tables.set('kube-proxy', { family: 'ip', name: 'kube-proxy', chains: [] }),
    foreign: () => text(false),
    ours: () => text(true),
  };
}

const nft = (...commands: string[]) => must(['nft', commands.join('; ')]);

function nftablesHarness(): Harness {
  const { backend } = createTraffic({ mode: 'nftables', env: process.env });
  const table = (family: 4 | 6) => (family === 4 ? 'ip flannel-ipv4' : 'ip6 flannel-ipv6');
  const network = (family: 4 | 6) => (family === 4 ? '10.244.0.0/16' : '2001:cafe:42::/56');
  const ip = (family: 4 | 6) => (family === 4 ? 'ip' : 'ip6');
  const text = (ours: boolean) =>
    must(['nft', 'list', 'ruleset'])
      .split(/^(?=table )/m)
      .filter((part) => /^table (ip flannel-ipv4|ip6 flannel-ipv6) \{/.test(part) === ours)
      // The order of tables is the order of creation.
      .sort()
      .join('');
  return {
    backend,
    faults: {
      'flushed from a chain': (family) => nft(`flush chain ${table(family)} postrtg`),
      'deleted with their table': (family) => nft(`delete table ${table(family)}`),
      'deleted with a chain': (family) => nft(`delete chain ${table(family)} forward`),
      'with a stranger at the end': (family) => nft(`add rule ${table(family)} postrtg accept`),
      'with a stranger in front': (family) => nft(`insert rule ${table(family)} forward drop`),
      'beside a foreign chain': (family) =>
        nft(
          `add chain ${table(family)} extra { type filter hook input priority 0; }`,
          `add rule ${table(family)} extra counter`,
        ),
      reordered: (family) =>
        nft(
          `flush chain ${table(family)} forward`,
          `add rule ${table(family)} forward ${ip(family)} daddr ${network(family)} accept`,
          `add rule ${table(family)} forward ${ip(family)} saddr ${network(family)} accept`,
        ),
      'under another policy': (family) => nft(`chain ${table(family)} forward { policy drop; }`),
      'put to sleep': (family) => nft(`add table ${table(family)} { flags dormant; }`),
    },
    addForeign: () =>
      nft(
        'add table ip kube-proxy',
        'add set ip kube-proxy nodes { type ipv4_addr; elements = { 192.0.2.1 }; }',
        'add chain ip kube-proxy postrouting { type nat hook postrouting priority 100; }',
        'add rule ip kube-proxy postrouting ip daddr @nodes masquerade comment "theirs"',
        'add table ip6 flannel-ipv4-not-ours',
        'add table inet flannel',
      ),
    foreign: () => text(false),
    ours: () => text(true),
  };
}

/** The legacy variant under the usual names, which is how a host that has only it looks. */
function legacyPath(): string {
  const directory = mkdtempSync(`${tmpdir()}/flannel-legacy-`);
  for (const base of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) {
      symlinkSync('/usr/sbin/xtables-legacy-multi', `${directory}/${base}${suffix}`);
    }
  }
  afterAll(() => rmSync(directory, { recursive: true }));
  return directory;
}

function iptablesHarness(directory: string): Harness {
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}` };
  const { backend } = createTraffic({ mode: 'iptables', env });
  const tool = (family: 4 | 6) => `${directory}/${family === 4 ? 'iptables' : 'ip6tables'}`;
  const ipt = (family: 4 | 6, ...words: string[]) =>
    words.forEach((line) => must([tool(family), '-w', ...line.split(' ')]));
  const text = (ours: boolean) =>
    ([4, 6] as const)
      .flatMap((family) =>
        must([`${tool(family)}-save`])
          .split('\n')
          .map((line) => `v${family} ${line}`),
      )
      .filter((line) => / -A |:\S+ -/.test(line) && line.includes('FLANNEL-') === ours)
      .join('\n');
  const network = (family: 4 | 6) => (family === 4 ? '10.244.0.0/16' : '2001:cafe:42::/56');
  return {
    backend,
    faults: {
      'flushed from a chain': (family) => ipt(family, '-t nat -F FLANNEL-POSTRTG'),
      'deleted with their chain': (family) =>
        ipt(family, '-F FORWARD', '-A FORWARD -j KUBE-FORWARD', '-F FLANNEL-FWD', '-X FLANNEL-FWD'),
      'cut off from their hook': (family) =>
        ipt(family, '-t nat -F POSTROUTING', '-t nat -A POSTROUTING -j KUBE-POSTROUTING'),
      'with a stranger at the end': (family) => ipt(family, '-t nat -A FLANNEL-POSTRTG -j ACCEPT'),
      'with a stranger in front': (family) => ipt(family, '-I FLANNEL-FWD -j DROP'),
      reordered: (family) =>
        ipt(family, '-D FLANNEL-FWD 1', `-A FLANNEL-FWD -s ${network(family)} -j ACCEPT`),
      'with a jump too many': (family) => {
        const jump = ['-m', 'comment', '--comment', 'flanneld masq', '-j', 'FLANNEL-POSTRTG'];
        must([tool(family), '-t', 'nat', '-A', 'POSTROUTING', ...jump]);
        must([tool(family), '-t', 'nat', '-A', 'POSTROUTING', ...jump]);
      },
    },
    addForeign() {
      for (const family of [4, 6] as const) {
        ipt(family, '-N KUBE-FORWARD', '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT');
        ipt(family, '-A FORWARD -j KUBE-FORWARD', '-P FORWARD DROP');
        ipt(family, '-t nat -N KUBE-POSTROUTING', '-t nat -A KUBE-POSTROUTING -j MASQUERADE');
        ipt(family, '-t nat -A POSTROUTING -j KUBE-POSTROUTING');
        ipt(family, '-t mangle -A PREROUTING -j MARK --set-mark 7');
      }
    },
    foreign: () => text(false),
    ours: () => text(true),
  };
}

describe('traffic: fake', () => contract(fakeHarness()));
describeInNetns(import.meta.path, 'traffic: nftables', () => contract(nftablesHarness()));
describeInNetns(import.meta.path, 'traffic: iptables (nft)', () => contract(iptablesHarness('/usr/sbin')));
describeInNetns(import.meta.path, 'traffic: iptables (legacy)', () =>
  contract(iptablesHarness(legacyPath())),
);
