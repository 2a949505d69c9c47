import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import { Ip } from '#net/ip.ts';
import type { FlagValues } from './flag-table.ts';

const FLAG = '--ip-masq-exclude';

/**
 * The networks of `--ip-masq-exclude`: comma-separated, repeatable, each once, in the order given. Throws ConfigError for what is
 * no network, and when nothing is masqueraded anyway.
 */
export function masqueradeExclude(flags: Pick<FlagValues, 'ip-masq' | 'ip-masq-exclude'>): readonly Cidr[] {
  const networks = new Map<string, Cidr>();
  for (const text of flags['ip-masq-exclude'].flatMap((list) => list.split(','))) {
    const cidr = network(text.trim());
    networks.set(cidr.toString(), cidr);
  }
  if (networks.size > 0 && !flags['ip-masq']) {
    throw new ConfigError(FLAG, 'has no effect without --ip-masq: the CNI plugin then masquerades each pod', {
      cure: 'Start with --ip-masq, or leave the flag out',
    });
  }
  return [...networks.values()];
}

function network(text: string): Cidr {
  const cidr = Cidr.tryParse(text);
  if (cidr === undefined) {
    const ip = Ip.tryParse(text);
    const cure = ip === undefined ? 'Use networks such as 10.0.0.0/8,fd00::/8' : `Use ${ip}/${ip.bits}`;
    throw new ConfigError(FLAG, `${JSON.stringify(text.slice(0, 64))} is no network`, { cure });
  }
  if (!cidr.isNetwork()) {
    throw new ConfigError(FLAG, `${cidr} is an address in a network`, { cure: `Use ${cidr.network()}` });
  }
  return cidr;
}
