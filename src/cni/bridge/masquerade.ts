import type { Ip } from '#net/ip.ts';
import { unsupported } from '../error.ts';
import type { Invocation } from '../plugin.ts';
import type { CniIp } from '../result.ts';

export function addMasquerade(_call: Invocation, _ips: readonly CniIp[]): void {
  throw unsupported('ipMasq', true);
}

export function removeMasquerade(_call: Invocation, _ips: readonly Ip[]): void {}
