import { ConfigError } from '#base/errors.ts';
import type { FlagValues } from './flag-table.ts';

/** What the agent runs with. */
export interface AgentOptions {
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Checks what no single flag can say. Throws ConfigError. */
export function checkOptions({ flags }: AgentOptions): void {
  if (!flags['kube-subnet-mgr']) {
    throw new ConfigError(
      '--kube-subnet-mgr',
      'is off, and the etcd subnet manager is not built into this version',
      {
        cure: 'Start with --kube-subnet-mgr',
      },
    );
  }
  for (const name of ['subnet-file', 'net-config-path'] as const) {
    if (flags[name] === '') throw new ConfigError(`--${name}`, 'is empty; it takes the path of a file');
  }
}
