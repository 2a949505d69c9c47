import { findVariant, programName } from '#traffic/iptables-variant.ts';
import type { Facts } from '../facts/facts.ts';
import { error, NotAsked, ok, warning, type Check, type Finding } from '../finding.ts';

const ACTIONS = [undefined, 'save', 'restore'] as const;

export const iptables: Check = {
  id: 'iptables',
  title: 'the iptables programs are there, and write where the rest of the host does',
  async run(facts) {
    if (facts.mode === 'nftables') throw new NotAsked('no iptables is executed in nftables mode');
    const missing = await missingPrograms(facts);
    if (missing.length === 0) return variant(facts);
    return [
      error({
        what: `not found: ${missing.join(', ')}`,
        why: 'without EnableNFTables the agent writes masquerading and forward rules with these programs',
        cure: 'apt-get install iptables (or the like), or set EnableNFTables to true in net-conf.json',
      }),
    ];
  },
};

async function missingPrograms({ configIfAny, host, signal }: Facts): Promise<string[]> {
  const families = configIfAny?.families ?? ['ipv4'];
  const names = families.flatMap((family) => ACTIONS.map((action) => programName(family, undefined, action)));
  const found = await Promise.all(names.map((name) => host.run([name, '--version'], { signal })));
  return names.filter((_, at) => found[at] === undefined);
}

/** The agent finds the right variant by itself; what calls plain `iptables` does not. */
async function variant({ host, signal }: Facts): Promise<readonly Finding[]> {
  const { variant: used, reason, left } = await findVariant(host.run, signal);
  const { stdout = '' } = (await host.run(['iptables', '--version'], { signal })) ?? {};
  const plain = stdout.includes('nf_tables') ? 'nft' : 'legacy';
  const findings: Finding[] = [];
  if (used !== undefined && used !== plain)
    findings.push(
      warning({
        what: `the program iptables is the ${plain} variant, but this host uses ${used} (${reason})`,
        why: 'two sets of rules then hold for every packet, and neither program shows those of the other',
        cure: `update-alternatives --set iptables /usr/sbin/iptables-${used}; update-alternatives --set ip6tables /usr/sbin/ip6tables-${used}`,
      }),
    );
  for (const other of left)
    findings.push(
      warning({
        what: `rules of Flannel are left in the ${other} variant of iptables, which is not used`,
        why: 'they still hold for every packet',
        cure: `the agent removes them when it starts; by hand: iptables-${other}-save | grep -v FLANNEL | iptables-${other}-restore`,
      }),
    );
  return findings.length > 0 ? findings : [ok(`${used ?? plain} (${reason})`)];
}
