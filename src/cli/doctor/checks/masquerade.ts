import { FlannelError } from '#base/errors.ts';
import type { Cidr } from '#net/cidr.ts';
import type { Ip } from '#net/ip.ts';
import { Nftables } from '#nftables/connection.ts';
import type { Rule, TableKey } from '#nftables/objects.ts';
import { ruleText } from '#nftables/text.ts';
import type { Facts } from '../facts/facts.ts';
import { orOk, warning, type Check, type Finding } from '../finding.ts';
import type { SamplePacket } from '../../netfilter/condition.ts';
import { masqueradingRules } from '../../netfilter/nat-walk.ts';

const FAMILIES = { ipv4: ['ip', 'inet'], ipv6: ['ip6', 'inet'] } as const;

export const masquerade: Check = {
  id: 'masquerade',
  title: 'nobody masquerades what pods send to pods of other nodes',
  async run(facts) {
    const samples = await samplePackets(facts);
    const findings = samples.flatMap((sample) => judge(sample));
    return orOk(
      findings,
      samples.map(({ from, to, oifname }) => `${from} to ${to} by ${oifname}`).join(', '),
    );
  },
};

/** From the third address of this node's subnet (a pod's) to that of a peer's. */
async function samplePackets(facts: Facts): Promise<SamplePacket[]> {
  const { devices, peers } = await facts.overlay();
  const networks = facts.config().networks;
  const routes = [...peers.values()].flatMap(({ entries }) =>
    entries.filter((entry) => entry.type === 'route'),
  );
  return facts.subnets.flatMap((subnet) => {
    const { family } = subnet;
    const route = routes.find(({ dst }) => dst.family === family);
    const oifname =
      route?.link ?? devices.links.find(({ local }) => local.family === family)?.name ?? devices.external;
    const to = route?.dst.first().add(2) ?? elsewhere(subnet, networks[family]);
    if (to === undefined || oifname === undefined) return [];
    return { from: subnet.first().add(2), to, iifname: facts.options.bridge, oifname, protocol: 'tcp' };
  });
}

/** Any address of the pod network that is no pod's of this node. */
function elsewhere(subnet: Cidr, network: Cidr | undefined): Ip | undefined {
  const candidates = network === undefined ? [] : [network.first().add(2), network.last().add(-2)];
  return candidates.find((ip) => !subnet.contains(ip));
}

function judge(sample: SamplePacket): Finding[] {
  using nftables = Nftables.open();
  return FAMILIES[sample.from.family].flatMap((family) =>
    nftables
      .tables(family)
      .flatMap((key) => rulesIn(nftables, key, sample).map(({ chain, rule }) => finding(key, chain, rule))),
  );
}

function finding({ family, name }: TableKey, chain: string, rule: Rule): Finding {
  const byIptables = rule.expressions.some(({ kind }) => kind === 'other');
  const conditions = rule.expressions.filter(({ kind }) => kind !== 'counter' && kind !== 'other');
  const words = [ruleText({ expressions: conditions }), ...(byIptables ? ['-j MASQUERADE'] : [])];
  const list = byIptables ? `iptables -t nat -S` : `nft -a list table ${family} ${name}`;
  return warning({
    what: `a rule of table ${family} ${name}, from chain ${chain}, masquerades what pods send to other nodes: ${words.join(' ').trim()}`,
    why: "pods of other nodes see this node's address instead of the pod's: network policies do not hold, and checksums may break",
    cure: `give the rule an outgoing interface or a destination other than the pod network, or remove it: ${list}`,
  });
}

/** Tables that cannot be read here, of other families' hooks for instance, are left out. */
function rulesIn(nftables: Nftables, key: TableKey, sample: SamplePacket) {
  try {
    const table = nftables.read(key);
    return table === undefined ? [] : masqueradingRules(table, sample);
  } catch (failure) {
    if (failure instanceof FlannelError) return [];
    throw failure;
  }
}
