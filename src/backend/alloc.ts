import type { Family } from '#net/family.ts';
import { readBackendOptions } from '#subnet/backend-options.ts';
import type { NetworkConfig } from '#subnet/config.ts';
import type { Backend, BackendContext } from './backend.ts';

/** alloc takes no options: every key is a warning. */
export function checkAlloc(config: NetworkConfig): readonly string[] {
  return readBackendOptions(config.backend, {}).warnings;
}

/** The alloc backend: this node has its subnet and publishes it; who carries the packets is somebody else's business. */
export function createAlloc({ config, external, own }: BackendContext): Backend {
  const backendData: Partial<Record<Family, string>> = {};
  for (const family of config.families)
    if (own.subnets[family] !== undefined && external.addresses[family] !== undefined)
      backendData[family] = 'null';
  return {
    type: 'alloc',
    mtu: external.mtu,
    links: [],
    backendData,
    peer: () => ({ entries: [], rejected: [] }),
  };
}
