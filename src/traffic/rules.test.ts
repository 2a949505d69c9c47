import { describe, expect, test } from 'bun:test';
import { Cidr } from '#net/cidr.ts';
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
