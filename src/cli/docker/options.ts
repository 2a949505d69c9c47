import type { SubnetEnv } from '#subnet/env.ts';

export interface DockerOptsRequest {
  readonly env: SubnetEnv;
  /** The environment: other `DOCKER_OPT_*` variables and the earlier value of the combined key are kept. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** One variable for each option. */
  readonly individual: boolean;
  /** All options in one variable. */
  readonly combined: boolean;
  readonly combinedKey: string;
  /** `--ip-masq=false` where the agent masquerades. */
  readonly ipMasq: boolean;
}

/** The text that the original's `mk-docker-opts.sh` writes: a file of variables for systemd's EnvironmentFile. */
export function dockerOptions(request: DockerOptsRequest): string {
  const { env, environment, combinedKey } = request;
  const options = new Map<string, string>();
  for (const [name, value] of Object.entries(environment)) {
    if (/^DOCKER_OPT_\w+$/.test(name) && value !== undefined) options.set(name, value);
  }
  const gateway = env.gateways.ipv4;
  if (gateway !== undefined) options.set('DOCKER_OPT_BIP', `--bip=${gateway}`);
  // Only one of the two may masquerade.
  if (env.ipMasq && request.ipMasq) options.set('DOCKER_OPT_IPMASQ', '--ip-masq=false');
  options.set('DOCKER_OPT_MTU', `--mtu=${env.mtu}`);
  const sorted = [...options].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = request.individual ? sorted.map(([name, value]) => assignment(name, value)) : [];
  const before = environment[combinedKey] ?? '';
  const all = `${before} ${sorted.map(([, value]) => `${value} `).join('')}`;
  if (request.combined) lines.push(assignment(combinedKey, all));
  return `${lines.join('\n')}\n`;
}

/** `name="value"` as systemd.exec(5) reads an EnvironmentFile. */
function assignment(name: string, value: string): string {
  return `${name}="${value.replaceAll(/["\\`$]/g, String.raw`\$&`).replaceAll('\n', ' ')}"`;
}
