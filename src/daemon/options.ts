import { dirname, isAbsolute, join } from 'node:path';
import { ConfigError } from '#base/errors.ts';
import { checkChoice, publicAddress } from '#host/external-interface.ts';
import { FAMILIES } from '#net/family.ts';
import { parsePageAddress } from '#page/server/address.ts';
import { etcdConfig } from './etcd-store.ts';
import type { FlagValues } from './flag-table.ts';
import { masqueradeExclude } from './masquerade-exclude.ts';

/** What the agent runs with. */
export interface AgentOptions {
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A file beside the subnet file: /run/flannel by default. */
export function runFile(options: AgentOptions, name: string): string {
  return join(dirname(options.flags['subnet-file']), name);
}

/** The flag with the published address of a family. */
export const PUBLIC_IP = { ipv4: 'public-ip', ipv6: 'public-ipv6' } as const;

/** Checks what the syntax of flags does not say, before anything is waited for. Throws ConfigError. */
export function checkOptions({ flags }: AgentOptions): void {
  if (!flags['kube-subnet-mgr']) etcdConfig(flags);
  for (const name of ['subnet-file', 'net-config-path'] as const) {
    if (flags[name] === '') throw new ConfigError(`--${name}`, 'is empty; it takes the path of a file');
  }
  txChecksum(flags);
  masqueradeExclude(flags);
  if (flags['ui-addr'] !== '') parsePageAddress(flags['ui-addr'], '--ui-addr');
  if (flags['state-dir'] !== '' && !isAbsolute(flags['state-dir']))
    throw new ConfigError('--state-dir', `${JSON.stringify(flags['state-dir'])} is not an absolute path`);
  checkChoice({ ifaceRegex: flags['iface-regex'], canReach: flags['iface-can-reach'] });
  for (const family of FAMILIES) {
    const name = PUBLIC_IP[family];
    publicAddress(flags[name], { name: `--${name}`, family, annotation: undefined, own: undefined });
  }
}

/** `--vxlan-tx-checksum`: undefined is auto. Throws ConfigError. */
export function txChecksum(flags: Pick<FlagValues, 'vxlan-tx-checksum'>): boolean | undefined {
  const text = flags['vxlan-tx-checksum'];
  switch (text) {
    case 'auto':
      return undefined;
    case 'on':
      return true;
    case 'off':
      return false;
    default:
      throw new ConfigError('--vxlan-tx-checksum', `${JSON.stringify(text)} is none of auto, on and off`);
  }
}
