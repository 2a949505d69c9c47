import { describe, expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import { FLANNEL_CHAINS, flannelChains } from './iptables-chain.ts';
import { flannelTables } from './nftables-table.ts';
import { rulesFor, trafficRules, type TrafficOptions } from './rules.ts';

function rules(options: Partial<TrafficOptions> = {}) {
  const v4 = { network: [Cidr.parse('10.244.0.0/16')], subnet: Cidr.parse('10.244.1.1/24') };
  return trafficRules({ families: [v4], ipMasq: true, forward: true, randomFully: true, ...options });
}

function lines(options: Partial<TrafficOptions> = {}, since162 = true): string[] {
  return rules(options).families.flatMap((family) =>
    flannelChains(family, { since162 }).flatMap((chain) =>
      chain.rules.map((rule) => `${chain.name} ${rule}`),
    ),
  );
}

describe('rules', () => {
  test('the two modes differ in the mark and in who is let in from outside, as the original does', () => {
    const postrouting = rules().families[0]?.postrouting ?? [];
    const [nftables, iptables] = [rulesFor('nftables', postrouting), rulesFor('iptables', postrouting)];
    expect(nftables.length).toBe(6);
    expect(iptables.length).toBe(6);
    const differing = nftables.flatMap((rule, at) => (rule === iptables[at] ? [] : [at]));
    expect(differing).toEqual([0, 3]);
  });

  test('host bits of the subnet do not reach a rule', () => {
    expect(lines()[1]).toContain('-s 10.244.1.0/24 ');
  });

  test('fully random is left out when it is disabled or the tool is too old', () => {
    expect(lines({ randomFully: false }).join('\n')).not.toContain('random');
    expect(lines({}, false).join('\n')).not.toContain('random');
    expect(lines().filter((line) => line.endsWith('-j MASQUERADE --random-fully')).length).toBe(2);
  });

  test('without masquerading and forward rules there are no chains', () => {
    const { families } = rules({ ipMasq: false, forward: false });
    expect(flannelChains(families[0] ?? { family: 'ipv4' }, { since162: true })).toEqual([]);
    expect(flannelTables({ families }).map(({ chains }) => chains.length)).toEqual([0, 0]);
  });

  test('with several networks everything between them is settled before anything is masqueraded', () => {
    const network = ['10.244.0.0/16', '10.250.0.0/16'].map((text) => Cidr.parse(text));
    const actions = lines({
      families: [{ network, subnet: Cidr.parse('10.244.1.0/24') }],
      forward: false,
    }).map((line) => /-j (\w+)/.exec(line)?.[1]);
    expect(actions).toEqual([...Array<string>(7).fill('RETURN'), ...Array<string>(4).fill('MASQUERADE')]);
  });

  test('excluded networks stand before what is masqueraded, by family, and change nothing else', () => {
    const exclude = ['10.0.0.0/8', 'fd00::/8', '192.168.50.11/32', '0.0.0.0/0'].map((text) =>
      Cidr.parse(text),
    );
    const [plain, given] = [lines(), lines({ exclude })];
    const added = given.filter((line) => !plain.includes(line));
    const tail = '-m comment --comment "flanneld masq" -j RETURN';
    expect(added).toEqual([
      `FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.0.0.0/8 ${tail}`,
      `FLANNEL-POSTRTG -s 10.244.0.0/16 -d 192.168.50.11/32 ${tail}`,
      `FLANNEL-POSTRTG -s 10.244.0.0/16 ${tail}`,
    ]);
    expect(given.filter((line) => !added.includes(line))).toEqual(plain);
    const at = given.indexOf(added[0] ?? '');
    expect(given[at - 1]).toBe('FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 ' + tail);
    expect(given[at + added.length]).toContain('MASQUERADE');
  });

  test('the overlay has a rule of its own only where its packets could be taken for those of pods', () => {
    const families = (source: string) => [
      {
        network: [Cidr.parse('10.0.0.0/8')],
        subnet: Cidr.parse('10.244.1.0/24'),
        overlay: { source: Ip.parse(source), port: 8472 },
      },
    ];
    const [outside, within] = [
      lines({ families: families('192.168.50.11') }),
      lines({ families: families('10.1.2.3') }),
    ];
    const rule =
      'FLANNEL-POSTRTG -s 10.1.2.3/32 -p udp -m udp --dport 8472 -m comment --comment "flanneld masq" -j RETURN';
    expect(outside).not.toContain(rule);
    expect(within.filter((line) => line !== rule)).toEqual(outside);
    expect(within.indexOf(rule)).toBeLessThan(within.findIndex((line) => line.includes('MASQUERADE')));
  });

  test('a network of the other family is refused', () => {
    const mixed = { network: [Cidr.parse('fd00::/56')], subnet: Cidr.parse('10.244.1.0/24') };
    expect(() => rules({ families: [mixed] })).toThrow('differ in family');
  });

  test('the comment marks every rule as ours', () => {
    const { comment } = FLANNEL_CHAINS.postrouting;
    for (const line of lines({ forward: false }))
      expect(line).toContain(`-m comment --comment "${comment}" -j`);
  });
});
