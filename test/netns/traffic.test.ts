import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { cureOf } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules, type FamilyNetwork } from '#traffic/rules.ts';
import { AT_ONCE } from '../support/eventually.ts';
import { golden, withoutComments } from '../support/golden.ts';
import { describeInNetns, must, run } from '../support/netns.ts';

const V4 = { network: [Cidr.parse('10.244.0.0/16')], subnet: Cidr.parse('10.244.1.0/24') };
const V6 = { network: [Cidr.parse('2001:cafe:42::/56')], subnet: Cidr.parse('2001:cafe:42:1::/64') };
const { env } = process;

function rules(...families: FamilyNetwork[]) {
  return trafficRules({ families, ipMasq: true, forward: true, randomFully: true });
}

describeInNetns(import.meta.path, 'the rules of the original, nftables', () => {
  const { backend } = createTraffic({ mode: 'nftables', env });

  test('IPv4: the IPv6 table is there and empty', async () => {
    await backend.ensure(rules(V4));
    expect(must(['nft', 'list', 'ruleset'])).toBe(golden('vxlan-nftables/nft.txt'));
    expect(must(['iptables-save'])).toBe('');
  });

  test('a ruleset loaded by nft from the recording is adopted without a write', async () => {
    must(['nft', 'flush', 'ruleset']);
    const file = `${import.meta.dir}/../fixtures/goldens/vxlan-dual-nftables/nft.txt`;
    const text = await Bun.file(file).text();
    const load = Bun.spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(text.replace(/^\$ .*\n/, '')) });
    expect(load.exitCode).toBe(0);
    expect(await backend.ensure(rules(V4, V6))).toEqual({ changed: false, repaired: [] });
  });

  test('both families', async () => {
    must(['nft', 'flush', 'ruleset']);
    await backend.ensure(rules(V4, V6));
    expect(must(['nft', 'list', 'ruleset'])).toBe(golden('vxlan-dual-nftables/nft.txt'));
  });

  test('a change by somebody else is told at once', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    using watch = backend.watch?.(resolve);
    expect(watch).toBeDefined();
    must(['nft', 'add table ip unrelated']);
    const early = await Promise.race([promise.then(() => 'told'), Bun.sleep(100).then(() => 'quiet')]);
    expect(early).toBe('quiet');
    const start = performance.now();
    must(['nft', 'flush chain ip flannel-ipv4 postrtg']);
    await promise;
    expect(performance.now() - start).toBeLessThan(AT_ONCE);
    expect((await backend.ensure(rules(V4, V6))).repaired).toEqual([
      'table ip flannel-ipv4: chain postrtg has 0 rules, 0 of the wanted 6 in their place',
    ]);
  });
});

describeInNetns(import.meta.path, 'the rules of the original, iptables', () => {
  const { backend } = createTraffic({ mode: 'iptables', env });

  test('IPv4: nothing is written for IPv6', async () => {
    await backend.ensure(rules(V4));
    expect(withoutComments(must(['iptables-save']))).toBe(
      withoutComments(golden('vxlan-iptables/iptables-save.txt')),
    );
    expect(must(['ip6tables-save'])).toBe('');
  });

  test('what the original wrote is adopted without a write', async () => {
    must(['nft', 'flush', 'ruleset']);
    const stdin = Buffer.from(golden('vxlan-iptables/iptables-save.txt'));
    expect(Bun.spawnSync(['iptables-restore'], { stdin }).exitCode).toBe(0);
    expect(await backend.ensure(rules(V4))).toEqual({ changed: false, repaired: [] });
  });

  test('a chain that another rule leads to can still be cleared', async () => {
    must(['iptables', '-A', 'INPUT', '-p', 'tcp', '-j', 'FLANNEL-FWD']);
    must(['iptables', '-A', 'OUTPUT', '-m', 'comment', '--comment', 'kept -j FLANNEL-FWD', '-j', 'ACCEPT']);
    expect((await backend.clear()).removed).toEqual([
      'iptables nat FLANNEL-POSTRTG',
      'iptables filter FLANNEL-FWD',
    ]);
    const left = must(['iptables-save'])
      .split('\n')
      .filter((line) => line.startsWith('-A'));
    expect(left).toEqual(['-A OUTPUT -m comment --comment "kept -j FLANNEL-FWD" -j ACCEPT']);
  });
});

describeInNetns(import.meta.path, 'from one mode to the other', () => {
  for (const [mode, other] of [
    ['nftables', 'iptables'],
    ['iptables', 'nftables'],
  ] as const) {
    test(`${other} rules are gone after a start in ${mode} mode`, async () => {
      await createTraffic({ mode: other, env }).backend.ensure(rules(V4, V6));
      const { backend, clearOther } = createTraffic({ mode, env });
      await backend.ensure(rules(V4, V6));
      expect((await clearOther()).removed.length).toBeGreaterThan(1);
      expect(await clearOther()).toEqual({ removed: [] });
      expect(await backend.ensure(rules(V4, V6))).toEqual({ changed: false, repaired: [] });
      expect(must(['iptables-save']).includes('FLANNEL')).toBe(mode === 'iptables');
      expect(must(['nft', 'list', 'tables']).includes('flannel')).toBe(mode === 'nftables');
      await backend.clear();
    });
  }
});

function temporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(`${tmpdir()}/flannel-traffic-`);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

describeInNetns(import.meta.path, 'the xtables lock', () => {
  test('is waited for when another program holds it', async () => {
    using directory = temporaryDirectory();
    for (const name of ['iptables', 'iptables-save', 'iptables-restore']) {
      symlinkSync('/usr/sbin/xtables-legacy-multi', `${directory.path}/${name}`);
    }
    const lock = `${directory.path}/lock`;
    await Bun.write(lock, '');
    const holder = Bun.spawn(['flock', lock, 'sh', '-c', 'echo held; exec sleep 0.7'], { stdout: 'pipe' });
    await holder.stdout.getReader().read();
    const start = performance.now();
    const legacy = { ...env, PATH: `${directory.path}:${env['PATH']}`, XTABLES_LOCKFILE: lock };
    const { backend } = createTraffic({ mode: 'iptables', env: legacy });
    expect((await backend.ensure(rules(V4))).changed).toBe(true);
    expect(performance.now() - start).toBeGreaterThan(400);
    expect(await holder.exited).toBe(0);
  });
});

describeInNetns(import.meta.path, 'the xtables lock, held for too long', () => {
  test('is named, and when it is free the rules are there once', async () => {
    using directory = temporaryDirectory();
    for (const family of ['iptables', 'ip6tables'])
      for (const action of ['', '-save', '-restore'])
        symlinkSync('/usr/sbin/xtables-legacy-multi', `${directory.path}/${family}${action}`);
    const lock = `${directory.path}/lock`;
    await Bun.write(lock, '');
    const held = ['flock', '--no-fork', lock, 'sh', '-c', 'echo held; exec sleep 60'];
    const holder = Bun.spawn(held, { stdout: 'pipe' });
    await holder.stdout.getReader().read();
    const legacy = { ...env, PATH: `${directory.path}:${env['PATH']}`, XTABLES_LOCKFILE: lock };
    const { backend } = createTraffic({ mode: 'iptables', env: legacy });
    const error: unknown = await backend.ensure(rules(V4, V6)).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/iptables-restore failed with exit code 4: .*xtables lock/);
    expect(cureOf(error)).toContain('/run/xtables.lock');
    expect(must(['iptables-legacy-save'])).not.toContain('FLANNEL');
    holder.kill('SIGKILL');
    await holder.exited;
    expect((await backend.ensure(rules(V4, V6))).changed).toBe(true);
    expect(await backend.ensure(rules(V4, V6))).toEqual({ changed: false, repaired: [] });
    for (const tool of ['iptables', 'ip6tables']) {
      const saved = must([`${tool}-legacy-save`]);
      expect(saved.match(/-A POSTROUTING .*-j FLANNEL-POSTRTG/g)).toHaveLength(1);
      expect(saved.match(/-A FORWARD .*-j FLANNEL-FWD/g)).toHaveLength(1);
      expect(saved.match(/-A FLANNEL-POSTRTG /g)).toHaveLength(6);
    }
  });
});

describe('hosts that cannot do it', () => {
  test('a lock that is not free in time is explained by the exit code', async () => {
    using directory = temporaryDirectory();
    // A stand-in that answers as iptables-restore does when the lock is not free in time.
    const script = `${directory.path}/iptables-restore`;
    await Bun.write(
      script,
      '#!/bin/sh\necho "Another app is currently holding the xtables lock." >&2\nexit 4\n',
    );
    must(['chmod', '+x', script]);
    // None of this machine's own programs must be found.
    const variants = ['iptables', 'ip6tables'].flatMap((name) => [`${name}-nft-save`, `${name}-legacy-save`]);
    for (const name of ['iptables-save', 'iptables', 'ip6tables-save', ...variants]) {
      symlinkSync('/bin/true', `${directory.path}/${name}`);
    }
    const { backend } = createTraffic({ mode: 'iptables', env: { ...env, PATH: directory.path } });
    const error: unknown = await backend.ensure(rules(V4)).catch((reason: unknown) => reason);
    expect(String(error)).toContain(
      'iptables-restore failed with exit code 4: Another app is currently holding',
    );
    expect(cureOf(error)).toContain('/run/xtables.lock');
  });

  test('without CAP_NET_ADMIN the message says so', () => {
    const script = `
      import { createTraffic } from '${import.meta.dir}/../../src/traffic/create.ts';
      const { backend } = createTraffic({ mode: 'nftables', env: process.env });
      await backend.ensure({ families: [] }).catch((error) => console.log(error.message, '|', error.cure));
    `;
    const asNobody = [
      'setpriv',
      '--bounding-set=-all',
      '--inh-caps=-all',
      '--ambient-caps=-all',
      '--reuid=65534',
      '--clear-groups',
    ];
    const { stdout } = run(['unshare', '--net', ...asNobody, process.execPath, '-e', script]);
    expect(stdout).toContain('may not be changed | run with CAP_NET_ADMIN');
  });
});
