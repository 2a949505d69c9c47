import { expect, test } from 'bun:test';
import { recordedLog } from '#daemon/fixtures.ts';
import { RulesKeeper } from '#daemon/rules.ts';
import { createTraffic } from '#traffic/create.ts';
import { trafficRules } from '#traffic/rules.ts';
import { AT_ONCE, eventually, timeUntil } from '../support/eventually.ts';
import { describeInNetns, must } from '../support/netns.ts';
import { V4, V6 } from '../support/traffic-world.ts';

const FIXTURES = `${import.meta.dir}/../fixtures/rules`;
const RULES = trafficRules({ families: [V4, V6], ipMasq: true, forward: true, randomFully: true });

function keep(mode: 'iptables' | 'nftables', period: number) {
  const { log, lines } = recordedLog();
  const repairs: number[] = [];
  const onResult = (error: string | undefined, repaired: number) => {
    if (error !== undefined) throw new Error(error);
    if (repaired > 0) repairs.push(repaired);
  };
  const traffic = createTraffic({ mode, env: process.env });
  return { keeper: new RulesKeeper({ traffic, rules: RULES, period, log, onResult }), lines, repairs };
}

async function load(file: string, argv: readonly string[]): Promise<void> {
  const stdin = Buffer.from(await Bun.file(`${FIXTURES}/${file}`).text());
  if (!Bun.spawnSync([...argv], { stdin }).success) throw new Error(file);
}

const nft = () => must(['nft', 'list', 'ruleset']);
/** Without counters and comments. */
const saved = () =>
  must(['iptables-save'])
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\[\d+:\d+\]/g, '[0:0]');
const withoutOurs = (text: string) =>
  text
    .split('\n')
    .filter((line) => !line.includes('FLANNEL-'))
    .join('\n');

describeInNetns(import.meta.path, 'a firewall that loads its rules anew', () => {
  test('nftables: ours are back within a second, its own are as it loaded them', async () => {
    const { keeper, lines, repairs } = keep('nftables', 60_000);
    await using _ = keeper;
    await keeper.start();
    const ours = nft();
    // A flush, and a file that begins with one.
    for (const [at, reload] of [
      async () => void must(['nft', 'flush', 'ruleset']),
      async () => {
        const text = `flush ruleset\n${await Bun.file(`${FIXTURES}/kube-proxy.nft`).text()}`;
        if (!Bun.spawnSync(['nft', '-f', '-'], { stdin: Buffer.from(text) }).success) throw new Error('nft');
      },
    ].entries()) {
      await reload();
      const took = await timeUntil(() => expect(nft()).toContain(ours));
      expect(took).toBeLessThan(AT_ONCE);
      await eventually(() => expect(repairs).toHaveLength(at + 1));
    }
    const theirs = nft().replace(ours, '');
    must(['nft', 'flush', 'ruleset']);
    await load('kube-proxy.nft', ['nft', '-f', '-']);
    await eventually(() => expect(nft()).toContain(ours));
    expect(nft().replace(ours, '')).toBe(theirs);
    expect(lines.filter((line) => line.startsWith('ERROR'))).toEqual([]);
    expect(lines.filter((line) => line.includes('put back'))).toHaveLength(3);
  });

  test('iptables: ours are back within one period', async () => {
    must(['nft', 'flush', 'ruleset']);
    await load('kube-proxy.iptables', ['iptables-restore']);
    const { keeper, repairs } = keep('iptables', 500);
    await using _ = keeper;
    await keeper.start();
    const sound = saved();
    expect(sound).toContain('FLANNEL-FWD');
    const damages: readonly (() => Promise<void>)[] = [
      // An administrator, then a service that restores its file: ours are not in it.
      async () => {
        for (const table of ['filter', 'nat']) must(['iptables', '-t', table, '-F']);
      },
      () => load('kube-proxy.iptables', ['iptables-restore']),
      () => load('docker.iptables', ['iptables-restore', '-T', 'filter']),
    ];
    for (const [at, damage] of damages.entries()) {
      await damage();
      const theirs = withoutOurs(saved());
      const took = await timeUntil(() => {
        expect(saved()).toMatch(/-A POSTROUTING .*FLANNEL-POSTRTG/);
        expect(saved()).toMatch(/-A FORWARD .*FLANNEL-FWD/);
        expect(saved().match(/-A FLANNEL-/g)).toHaveLength(8);
      });
      // The period, and the programs of two checks on a busy machine.
      expect(took).toBeLessThan(AT_ONCE);
      await eventually(() => expect(repairs).toHaveLength(at + 1));
      expect(withoutOurs(saved())).toBe(theirs);
    }
  });
});
