import { ConfigError } from '#base/errors.ts';
import { FAMILIES, type Family } from '#net/family.ts';
import { readBackendOptions } from '#subnet/backend-options.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { Lease } from '#subnet/lease.ts';
import type { Backend, BackendContext, Command, PeerFacts, PeerPlan, Rejection } from './backend.ts';
import { expandCommand, parseCommand, type CommandTemplate } from './command-template.ts';
import { otherBackend, strangeSide } from './peer.ts';

const TYPE = 'extension';

/** A lease has room for so much `backend-data`, characters of JSON: more is not read by peers. */
const MAX_DATA = 4096;

const KEYS = ['PreStartupCommand', 'PostStartupCommand', 'SubnetAddCommand', 'SubnetRemoveCommand'] as const;
type Key = (typeof KEYS)[number];

const COMMAND = { kind: 'string', maxLength: 16_384 } as const;

/** The keys of `Backend`. */
export const EXTENSION_OPTIONS = {
  PreStartupCommand: {
    ...COMMAND,
    help: 'before the lease is published; what it prints becomes `backend-data`, a JSON string',
  },
  PostStartupCommand: { ...COMMAND, help: 'after that; it gets `NETWORK`, `SUBNET`, `PUBLIC_IP`' },
  SubnetAddCommand: {
    ...COMMAND,
    help:
      'for each peer, at start and when it comes or changes; it gets `SUBNET` and `PUBLIC_IP` of the peer, and its ' +
      '`backend-data` on standard input',
  },
  SubnetRemoveCommand: {
    ...COMMAND,
    help: 'when a peer goes, and before it is added with other values; it gets the same',
  },
} as const;

/** The names of the variables, as the original has them for IPv4. */
const VARIABLES = {
  network: { ipv4: 'NETWORK', ipv6: 'IPV6_NETWORK' },
  subnet: { ipv4: 'SUBNET', ipv6: 'IPV6_SUBNET' },
  publicIp: { ipv4: 'PUBLIC_IP', ipv6: 'PUBLIC_IPV6' },
} as const;

type Templates = Readonly<Partial<Record<Key, CommandTemplate>>>;

function readExtension(config: NetworkConfig): { templates: Templates; warnings: readonly string[] } {
  const { options, warnings } = readBackendOptions(config.backend, EXTENSION_OPTIONS);
  const peer = [VARIABLES.subnet, VARIABLES.publicIp];
  const known: Readonly<Record<Key, readonly Readonly<Record<Family, string>>[]>> = {
    PreStartupCommand: [],
    PostStartupCommand: [VARIABLES.network, ...peer],
    SubnetAddCommand: peer,
    SubnetRemoveCommand: peer,
  };
  const templates: Partial<Record<Key, CommandTemplate>> = {};
  for (const key of KEYS) {
    const text = options[key];
    // As in the original, an empty command is none.
    if (text === undefined || text === '') continue;
    const variables = known[key].flatMap((names) => config.families.map((family) => names[family]));
    templates[key] = parseCommand(text, { path: `${config.backend.path}${key}`, variables });
  }
  return { templates, warnings };
}

/** Throws ConfigError for a command that only a shell could run; returns warnings. */
export function checkExtension(config: NetworkConfig): readonly string[] {
  return readExtension(config).warnings;
}

/**
 * The extension backend: an operator's commands at start and for each peer, run by the daemon. Flannel's
 * Documentation/extension.md says what they get; that they are run without a shell is ours.
 */
export function createExtension(context: BackendContext): Backend {
  const { config, external, own } = context;
  const { templates } = readExtension(config);
  const families = config.families.filter(
    (family) => own.subnets[family] !== undefined && external.addresses[family] !== undefined,
  );
  const command = (key: Key, { values, stdin }: PeerFacts): Command | undefined => {
    const template = templates[key];
    if (template === undefined) return undefined;
    const argv = expandCommand(template, values);
    // A peer that lacks a variable has been left out before.
    return typeof argv === 'string' ? undefined : { what: key, argv, env: values, stdin: `${stdin}\n` };
  };
  const ownValues = Object.fromEntries(
    families.flatMap((family) => [
      [VARIABLES.network[family], String(config.networks[family])],
      [VARIABLES.subnet[family], String(own.subnets[family])],
      [VARIABLES.publicIp[family], String(external.publicIps[family])],
    ]),
  );
  return {
    type: TYPE,
    mtu: external.mtu,
    links: [],
    keepsDevices: true,
    backendData: publish(families, ''),
    commands: {
      before: command('PreStartupCommand', { values: {}, stdin: '' }),
      published: (output) => publish(families, dataOf(output, config)),
      after: command('PostStartupCommand', { values: ownValues, stdin: '' }),
      add: (facts) => command('SubnetAddCommand', facts),
      remove: (facts) => command('SubnetRemoveCommand', facts),
    },
    peer: (lease) => planPeer(lease, context, templates),
  };
}

/** Without output the annotation is empty, as the original's. The families have one output. */
function publish(families: readonly Family[], data: string): Partial<Record<Family, string>> {
  return Object.fromEntries(families.map((family) => [family, data]));
}

function dataOf(output: string, config: NetworkConfig): string {
  const data = JSON.stringify(output.trim());
  if (data.length <= MAX_DATA) return data;
  throw new ConfigError(
    `${config.backend.path}PreStartupCommand`,
    `prints ${data.length} characters; the lease has room for ${MAX_DATA}`,
    { cure: 'Print only what peers need' },
  );
}

function planPeer(lease: Lease, context: BackendContext, templates: Templates): PeerPlan {
  const other = otherBackend(lease, TYPE, context);
  if (other !== undefined) return other;
  const rejected: Rejection[] = [];
  const values: Record<string, string> = {};
  let stdin: string | undefined;
  for (const family of context.config.families) {
    const side = lease.families[family];
    if (side === undefined) continue;
    const strange = strangeSide(side, context);
    const data = parseData(side.backendData);
    if (strange !== undefined) rejected.push({ family, ...strange });
    else if (data === undefined)
      rejected.push({
        family,
        kind: 'unreadable',
        reason: 'backend-data is not a JSON string of printable text',
      });
    else {
      values[VARIABLES.subnet[family]] = side.subnet.toString();
      values[VARIABLES.publicIp[family]] = side.publicIp.toString();
      stdin ??= data;
    }
  }
  if (stdin === undefined) return { entries: [], rejected };
  for (const key of ['SubnetAddCommand', 'SubnetRemoveCommand'] as const) {
    const template = templates[key];
    const missing = template === undefined ? [] : expandCommand(template, values);
    if (typeof missing !== 'string') continue;
    const reason = `${key} needs $${missing}, which it does not have`;
    const families = FAMILIES.filter((family) => lease.families[family] !== undefined);
    const more = families.filter((family) => rejected.every((each) => each.family !== family));
    return {
      entries: [],
      rejected: [...rejected, ...more.map((family) => ({ family, kind: 'unreadable' as const, reason }))],
    };
  }
  return { entries: [], rejected, facts: { values, stdin } };
}

/** What a peer's PreStartupCommand printed, out of untrusted `backend-data`; undefined when it cannot be that. */
function parseData(text: string): string | undefined {
  if (text === '') return '';
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (data === null) return '';
  // Control characters have no business in what a script reads line by line.
  return typeof data === 'string' && !/[\0-\x08\x0b-\x1f\x7f]/.test(data) ? data : undefined;
}
