import { ConfigError } from '#base/errors.ts';
import { Cidr } from '#net/cidr.ts';
import type { Given, Words } from '../../arguments.ts';

/** Flags of `flannelctl doctor`. An empty text: what the running agent has, else the agent's own default. */
export const WORDS = {
  o: '',
  output: '',
  only: '',
  list: false,
  all: false,
  'net-config-path': '',
  'subnet-file': '',
  'ipam-dir': '',
  'kube-api-url': '',
  'kubeconfig-file': '',
  'node-name': '',
  'service-cidr': '',
  'conf-dir': '/etc/cni/net.d',
  'bin-dir': '/opt/cni/bin',
  'netns-dir': '/run/netns',
  bridge: 'cni0',
  peers: '32',
  timeout: '1000',
} as const satisfies Words;

export interface DoctorOptions {
  /** Flags of the agent that were given by hand, by the agent's names. */
  readonly agent: Readonly<Partial<Record<AgentFlag, string>>>;
  readonly nodeName: string;
  readonly serviceCidrs: readonly Cidr[];
  readonly confDir: string;
  readonly binDir: string;
  readonly netnsDir: string;
  readonly bridge: string;
  /** How many peers are probed at most. */
  readonly peers: number;
  /** How long answers to probes are waited for, ms. */
  readonly timeoutMs: number;
}

const AGENT_FLAGS = [
  'net-config-path',
  'subnet-file',
  'ipam-dir',
  'kube-api-url',
  'kubeconfig-file',
] as const;
type AgentFlag = (typeof AGENT_FLAGS)[number];

/** Throws ConfigError. */
export function doctorOptions(given: Given<typeof WORDS>): DoctorOptions {
  return {
    agent: Object.fromEntries(
      AGENT_FLAGS.flatMap((name) => (given[name] === '' ? [] : [[name, given[name]]])),
    ),
    nodeName: given['node-name'],
    serviceCidrs: given['service-cidr'] === '' ? [] : given['service-cidr'].split(',').map(serviceCidr),
    confDir: given['conf-dir'],
    binDir: given['bin-dir'],
    netnsDir: given['netns-dir'],
    bridge: given.bridge,
    peers: number('--peers', given.peers, { min: 0, max: 10_000 }),
    timeoutMs: number('--timeout', given.timeout, { min: 50, max: 60_000 }),
  };
}

function serviceCidr(text: string): Cidr {
  const cidr = Cidr.tryParse(text.trim());
  if (cidr === undefined)
    throw new ConfigError('--service-cidr', `${JSON.stringify(text.slice(0, 64))} is not a CIDR`);
  return cidr;
}

function number(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new ConfigError(flag, `${JSON.stringify(text.slice(0, 64))} is not a number from ${min} to ${max}`);
  return value;
}
