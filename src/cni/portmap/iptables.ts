import type { Family } from '#net/family.ts';
import type { NetlinkConnection } from '#netlink/connection.ts';
import type { Environment } from '../environment.ts';
import { absent, allDone, missingRule, NatTable } from '../nat-table.ts';
import { targetsOf, type Forwarding, type LostMapping, type Owner } from './forwarding.ts';
import { planAdd, planCollection, planRemoval, type IptablesPlan } from './iptables-plan.ts';
import { chainRules, commonChains, DNAT_CHAIN, entryRules } from './iptables-rules.ts';
import { containerChain, oldSnatChain } from './names.ts';

/** Port mappings in table nat of iptables; nothing is executed to remove what cannot be there. */
export class IptablesPortmap {
  readonly #connection: NetlinkConnection;
  readonly #table: NatTable;

  constructor(connection: NetlinkConnection, env: Environment) {
    this.#connection = connection;
    this.#table = new NatTable({ env, instead: '"backend": "nftables" in the portmap configuration' });
  }

  /** Whether iptables can be used at all: its program is there and can read table nat. */
  async works(family: Family): Promise<boolean> {
    return this.#table.works(family);
  }

  /** Adds the mappings, each family in one transaction of iptables-restore, both at a time. */
  async add(forwarding: Forwarding): Promise<readonly LostMapping[]> {
    const changes = targetsOf(forwarding).map(async (target) =>
      this.#table.change(target.family, (live) => planAdd(forwarding, target, live)),
    );
    return lostBy(await allDone(changes));
  }

  /** Removes the container's chains. */
  async remove(owner: Owner): Promise<readonly LostMapping[]> {
    const connection = this.#connection;
    const chains = [containerChain(owner), oldSnatChain(owner)];
    return lostBy(await this.#table.changeWhere({ connection, chains }, (live) => planRemoval(chains, live)));
  }

  /** Removes the network's chains whose container is not in `valid`. */
  async collect(network: string, valid: ReadonlySet<string>): Promise<readonly LostMapping[]> {
    const where = { connection: this.#connection, chains: [DNAT_CHAIN] };
    return lostBy(await this.#table.changeWhere(where, (live) => planCollection(network, valid, live)));
  }

  /** Whether the container has a chain. */
  async has(owner: Owner): Promise<boolean> {
    return this.#table.has(this.#connection, containerChain(owner));
  }

  /** Throws CniError 999 when a rule is missing. */
  async check(forwarding: Forwarding): Promise<void> {
    const { config } = forwarding;
    const chain = containerChain(forwarding);
    for (const target of targetsOf(forwarding)) {
      const rules = chainRules(forwarding, target);
      if (rules.length === 0) continue;
      const live = await this.#table.read(target.family);
      const wanted = [
        ...commonChains(config).flatMap((common) => [
          ...common.rules.map((line) => [common.name, line] as const),
          ...common.jumps.map(({ from, line }) => [from, line] as const),
        ]),
        ...rules.map((line) => [chain, line] as const),
      ];
      for (const [name, line] of wanted) {
        if (absent(live, name, [line]).length > 0) throw missingRule(target.family, name, line);
      }
      checkEntries(forwarding, target.family, live.get(DNAT_CHAIN) ?? []);
    }
  }
}

/** Port by port: they may be spread over rules, and iptables-save has an order of its own for conditions. */
function checkEntries(forwarding: Forwarding, family: Family, rows: readonly string[]): void {
  const suffix = ` -j ${containerChain(forwarding)}`;
  const present = new Set(
    rows
      .filter((line) => line.endsWith(suffix))
      .flatMap((line) => {
        const protocol = /-p (\w+) /.exec(line)?.[1];
        const ports = / --dports ([\d,]+) /.exec(line)?.[1] ?? '';
        return ports.split(',').map((port) => `${protocol} ${port}`);
      }),
  );
  for (const { protocol, ports, line } of entryRules(forwarding, family)) {
    for (const port of ports)
      if (!present.has(`${protocol} ${port}`)) throw missingRule(family, DNAT_CHAIN, line);
  }
}

function lostBy(plans: readonly IptablesPlan[]): readonly LostMapping[] {
  return plans.flatMap(({ lost }) => lost);
}
