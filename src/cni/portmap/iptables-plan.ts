import type { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { SavedTable } from '#traffic/iptables-save.ts';
import { absent, jumpTarget, removeChain, type NatPlan } from '../nat-table.ts';
import { onlyHostIp, type PortMapping, type PortProtocol } from './config.ts';
import { mappingsFor, placeKey, placeOf, type Forwarding, type LostMapping } from './forwarding.ts';
import { chainRules, commonChains, DNAT_CHAIN, entryOwner, entryRules } from './iptables-rules.ts';
import { containerChain, CONTAINER_PREFIX } from './names.ts';

/** Commands, and the mappings that they take away. */
export interface IptablesPlan extends NatPlan {
  readonly lost: readonly LostMapping[];
}

/**
 * What makes `live` have the container's rules. The common chains are made by `-N`, which fails when another call was
 * faster: naming them otherwise would empty them.
 */
export function planAdd(forwarding: Forwarding, target: Cidr, live: SavedTable): IptablesPlan {
  const chain = containerChain(forwarding);
  const rules = chainRules(forwarding, target);
  if (rules.length === 0) return { commands: [], lost: [] };
  const stale = planReplaced(forwarding, target, live);
  const others = (live.get(DNAT_CHAIN) ?? []).filter((line) => jumpTarget(line) !== chain);
  const { front, back } = splitEntries(forwarding, target, others);
  return {
    lost: [...stale.lost, ...lostIn(live.get(chain) ?? [], target)],
    commands: [
      ...commonCommands(forwarding, live),
      ...stale.commands,
      ...entriesOf(chain, live).map((line) => `-D ${DNAT_CHAIN} ${line}`),
      `:${chain} - [0:0]`,
      ...rules.map((line) => `-A ${chain} ${line}`),
      ...front.map((line) => `-I ${DNAT_CHAIN} 1 ${line}`),
      ...back.map((line) => `-A ${DNAT_CHAIN} ${line}`),
    ],
  };
}

function commonCommands({ config }: Forwarding, live: SavedTable): readonly string[] {
  const common = commonChains(config);
  return [
    ...common.filter(({ name }) => !live.has(name)).map(({ name }) => `-N ${name}`),
    ...common.flatMap(({ name, rules }) => absent(live, name, rules).map((line) => `-A ${name} ${line}`)),
    ...common.flatMap(({ jumps }) =>
      jumps
        .filter(({ from, line }) => absent(live, from, [line]).length > 0)
        .map(({ from, line, first }) => (first ? `-I ${from} 1 ${line}` : `-A ${from} ${line}`)),
    ),
  ];
}

/**
 * A mapping for one address must be asked before another container's for all of them; every other stands behind, in the
 * order of arrival.
 */
function splitEntries(forwarding: Forwarding, { family }: Cidr, others: readonly string[]) {
  const taken = new Set(others.flatMap(entryPlaces));
  const isShadowed = (mapping: PortMapping): boolean =>
    onlyHostIp(mapping) !== undefined && taken.has(placeKey(mapping.protocol, mapping.hostPort, undefined));
  const { mappings } = forwarding.config;
  const lines = (some: readonly PortMapping[]) =>
    entryRules(forwarding, family, some).map(({ line }) => line);
  return {
    front: lines(mappings.filter(isShadowed)),
    back: lines(mappings.filter((mapping) => !isShadowed(mapping))),
  };
}

/** Protocol and ports of an entry rule, as keys. */
function entryPlaces(line: string): readonly string[] {
  const protocol = /^(?:.* )?-p (tcp|udp|sctp) /.exec(line)?.[1];
  const ports = / --dports ([\d,]+) /.exec(line)?.[1] ?? '';
  return ports.split(',').map((port) => placeKey(protocol as PortProtocol, Number(port), undefined));
}

/** What other containers have in our places, and chains that lead to our address: their container is gone. */
function planReplaced(forwarding: Forwarding, target: Cidr, live: SavedTable): IptablesPlan {
  const own = containerChain(forwarding);
  const places = new Set(mappingsFor(forwarding.config, target.family).map(placeOf));
  const commands: string[] = [];
  const lost: LostMapping[] = [];
  for (const [name, lines] of live) {
    if (!name.startsWith(CONTAINER_PREFIX) || name === own) continue;
    const rules = lines.map((line) => ({ line, rule: readLine(line) }));
    const dnat = rules.flatMap(({ rule }) => rule?.mapping ?? []);
    const replaced = dnat.filter((mapping) => isPlaced(mapping, places));
    if (
      dnat.some((mapping) => mapping.target.equals(target.ip)) ||
      (dnat.length > 0 && replaced.length === dnat.length)
    ) {
      commands.push(...removeChain(name, live));
      lost.push(...dnat);
    } else if (replaced.length > 0) {
      const gone = rules.filter(({ rule }) => rule !== undefined && places.has(rule.place));
      commands.push(...gone.map(({ line }) => `-D ${name} ${line}`));
      lost.push(...replaced);
    }
  }
  return { commands, lost };
}

function isPlaced({ protocol, hostPort, hostIp }: LostMapping, places: ReadonlySet<string>): boolean {
  return places.has(placeKey(protocol, hostPort, hostIp));
}

/** Removes the chains and all that leads to them. */
export function planRemoval(chains: readonly string[], live: SavedTable): IptablesPlan {
  const present = chains.filter((name) => live.has(name));
  return {
    commands: present.flatMap((name) => removeChain(name, live)),
    lost: present.flatMap((name) => lostIn(live.get(name) ?? [])),
  };
}

/** The network's chains whose container is not in `valid`: the comment of the rule that leads there says whose it is. */
export function planCollection(network: string, valid: ReadonlySet<string>, live: SavedTable): IptablesPlan {
  const kept = new Set([...valid].map((containerId) => containerChain({ network, containerId })));
  const dead = new Set<string>();
  for (const line of live.get(DNAT_CHAIN) ?? []) {
    const chain = jumpTarget(line);
    if (entryOwner(line)?.network !== network || chain === undefined) continue;
    if (chain.startsWith(CONTAINER_PREFIX) && !kept.has(chain)) dead.add(chain);
  }
  return planRemoval([...dead], live);
}

function entriesOf(chain: string, live: SavedTable): readonly string[] {
  return (live.get(DNAT_CHAIN) ?? []).filter((line) => jumpTarget(line) === chain);
}

/** The mappings of a chain; without those that lead to `except` itself. */
function lostIn(lines: readonly string[], except?: Cidr): readonly LostMapping[] {
  const mappings = lines.flatMap((line) => readLine(line)?.mapping ?? []);
  return mappings.filter(({ target }) => except?.ip.equals(target) !== true);
}

/** A rule of a container's chain: the place it is about, and where it leads if it translates. */
function readLine(
  line: string,
): { readonly place: string; readonly mapping: LostMapping | undefined } | undefined {
  const found =
    /^(?:-s \S+ )?(?:-d (\S+)\/\d+ )?-p (tcp|udp|sctp) -m \2 --dport (\d+) -j (\S+)(?: --to-destination (\S+):\d+)?$/.exec(
      line,
    );
  if (found === null) return undefined;
  const [, daddr, protocolText, port, action, to] = found;
  const protocol = protocolText as PortProtocol;
  const hostPort = Number(port);
  const hostIp = daddr === undefined ? undefined : Ip.tryParse(daddr);
  const target = action === 'DNAT' ? Ip.tryParse((to ?? '').replaceAll(/[[\]]/g, '')) : undefined;
  return {
    place: placeKey(protocol, hostPort, hostIp),
    mapping: target === undefined ? undefined : { protocol, hostPort, hostIp, target },
  };
}
