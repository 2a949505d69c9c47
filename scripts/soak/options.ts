import { ConfigError } from '#base/errors.ts';
import { BACKENDS, type LabBackend } from '#lab/command/options.ts';
import { parseArgs } from 'node:util';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly nodes: number;
  /** Kinds of faults; undefined: all. */
  readonly faults: readonly string[] | undefined;
  readonly backend: LabBackend;
  readonly families: 'ipv4' | 'dual';
  readonly traffic: 'nftables' | 'iptables';
  /** Freezes one agent, to see that the soak notices. */
  readonly sabotage: boolean;
  /** Leaves everything as it is after a failure, until it is stopped. */
  readonly hold: boolean;
  readonly help: boolean;
}

export const HELP = `usage: npm run soak -- [options]

Nodes in namespaces of this machine with an agent and pods each, random faults one after another, and all the time packets
between the pods. Ends with 0 when every fault healed within its time, no packet was lost that need not be, the overlay is
as planned, and no agent holds more memory or descriptors than at the beginning.

  --minutes <n>            how long, default 30
  --seed <n>               repeats the faults of an earlier run; default random, printed
  --nodes <n>              2 to 20, default 5
  --faults <a,b,...>       only these kinds; --faults list prints them
  --backend <type>         ${BACKENDS.join(', ')}; default vxlan
  --families ipv4|dual     default ipv4
  --traffic nftables|iptables  default nftables
  --hold                   after a failure all stays as it is, to be looked at, until Ctrl-C
  --sabotage               freezes an agent: the soak must then fail
`;

const SPEC = {
  minutes: { type: 'string', default: '30' },
  seed: { type: 'string' },
  nodes: { type: 'string', default: '5' },
  faults: { type: 'string' },
  backend: { type: 'string', default: 'vxlan' },
  families: { type: 'string', default: 'ipv4' },
  traffic: { type: 'string', default: 'nftables' },
  sabotage: { type: 'boolean', default: false },
  hold: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Throws ConfigError, which names the option. */
export function parseSoakArguments(args: readonly string[], freshSeed: number): SoakOptions {
  const values = read(args);
  const { faults, seed } = values;
  return {
    minutes: number('--minutes', values.minutes, { least: 0.1, most: 10_000 }),
    seed: seed === undefined ? freshSeed : whole('--seed', seed, { least: 0, most: 2 ** 32 - 1 }),
    nodes: whole('--nodes', values.nodes, { least: 2, most: 20 }),
    faults: faults === undefined ? undefined : faults.split(',').filter((name) => name !== ''),
    backend: choice('--backend', values.backend, BACKENDS),
    families: choice('--families', values.families, ['ipv4', 'dual'] as const),
    traffic: choice('--traffic', values.traffic, ['nftables', 'iptables'] as const),
    sabotage: values.sabotage,
    hold: values.hold,
    help: values.help,
  };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: SPEC }).values;
  } catch (error) {
    throw new ConfigError('soak', error instanceof Error ? error.message : String(error));
  }
}

interface Range {
  readonly least: number;
  readonly most: number;
}

function number(name: string, text: string, { least, most }: Range): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= least && value <= most) return value;
  throw new ConfigError(name, `${JSON.stringify(text)} is not a number from ${least} to ${most}`);
}

function whole(name: string, text: string, range: Range): number {
  const value = number(name, text, range);
  if (Number.isInteger(value)) return value;
  throw new ConfigError(name, `${JSON.stringify(text)} is not a whole number`);
}

function choice<T extends string>(name: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (found !== undefined) return found;
  throw new ConfigError(name, `${JSON.stringify(text)} is not one of ${allowed.join(', ')}`);
}
